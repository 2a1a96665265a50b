-- Updates of orgs, each with an id of its own request, paced if asked for.
-- Arguments: key, "new" or the number of orgs to choose from, a word that no other run has, milliseconds between two requests of a connection,
-- "plain" for requests without an id of their own, of which no repeat is known.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

local plans = { "free", "pro", "team", "enterprise" }
local states = { "active", "expired", "converted" }

function init(args)
  path = "/api/product-orgs/webhook/" .. args[1]
  orgs = tonumber(args[2])
  word = args[3]
  plain = args[5] == "plain"
  local pause = tonumber(args[4] or "0")
  -- Only where it is wanted: with a function of this name wrk keeps a timer for each connection, which costs it as much as the requests.
  if pause > 0 then
    function delay()
      return pause
    end
  end
  count = 0
  math.randomseed(number * 7919)
end

function request()
  count = count + 1
  local id
  if orgs then
    id = string.format("ws_%09d", math.random(0, orgs - 1))
  else
    id = string.format("ws_%s_%d_%d", word, number, count)
  end
  local body = string.format(
    '{"workspace_id":"%s","workspace_name":"Workspace %s","plan_id":"%s","plan_name":"%s","user_count":%d,"mrr":%d,"trial_status":"%s"}',
    id, id, plans[count % 4 + 1], plans[count % 4 + 1], math.random(1, 5000), math.random(1, 500000), states[count % 3 + 1])
  local headers = { ["content-type"] = "application/json" }
  if not plain then
    headers["idempotency-key"] = string.format("%s-%d-%d", word, number, count)
  end
  return wrk.format("POST", path, headers, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "bad": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
