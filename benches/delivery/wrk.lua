-- The same requests as Nightmark's: the bodies of a file, one a line, with headers of the same size. They are built before the clock
-- runs, so that wrk only sends them.
local requests, at = {}, 0

function init(args)
  local n = 0
  for body in io.lines(args[1]) do
    n = n + 1
    requests[n] = wrk.format("POST", "/hook/bench-key", {
      ["content-type"] = "application/json",
      ["user-agent"] = "nightmark/0.1.0",
      ["webhook-id"] = string.format("msg_%026d", n),
      ["idempotency-key"] = string.format("msg_%026d", n),
      ["webhook-timestamp"] = "1700000000",
      ["nightmark-operation"] = "changed",
    }, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
