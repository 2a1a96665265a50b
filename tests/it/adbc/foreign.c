/* A driver that misbehaves on request: what the query says is what it does. Compiled by the tests.
 * The structures are those of the Arrow C data and stream interfaces and of ADBC 1.1, as far as they are needed. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct Schema {
  const char *format, *name, *metadata;
  int64_t flags, n_children;
  struct Schema **children, *dictionary;
  void (*release)(struct Schema *);
  void *private_data;
};
struct Array {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct Array **children, *dictionary;
  void (*release)(struct Array *);
  void *private_data;
};
struct Stream {
  int (*get_schema)(struct Stream *, struct Schema *);
  int (*get_next)(struct Stream *, struct Array *);
  const char *(*get_last_error)(struct Stream *);
  void (*release)(struct Stream *);
  void *private_data;
};
struct Error {
  char *message;
  int32_t vendor_code;
  char sqlstate[5];
  void (*release)(struct Error *);
  void *private_data;
  const void *private_driver;
};
struct Handle {
  void *private_data;
  const void *private_driver;
};
enum { OK = 0, NOT_IMPLEMENTED = 2, INVALID = 5, INTERNAL = 9, CANCELLED = 11 };

/* One driver is used by one test at a time: each compiles its own copy. */
static char uri[4096], witness[4096], mode[256];
static volatile int cancelled;
static int64_t sent;

static void free_error(struct Error *error) { free(error->message); error->message = NULL; error->release = NULL; }
static uint8_t fail(struct Error *error, uint8_t status, const char *text) {
  if (error) { error->message = text ? strdup(text) : NULL; memcpy(error->sqlstate, "57014", 5); error->release = free_error; }
  return status;
}
static int is(const char *name) { return strcmp(mode, name) == 0; }
static void note(const char *what) {
  FILE *file = witness[0] ? fopen(witness, "a") : NULL;
  if (file) { fprintf(file, "%s\n", what); fclose(file); }
}
/* Until the test says so, by a file beside the witness; or a minute, lest a test that is over leaves it behind. */
static void be_deaf(void) {
  char word[4200];
  snprintf(word, sizeof word, "%s.enough", witness);
  for (int i = 0; i < 60000 && access(word, F_OK) != 0; i++) usleep(1000);
}

static uint8_t make(struct Handle *handle, struct Error *error) { (void)error; handle->private_data = handle; return OK; }
static uint8_t init(struct Handle *handle, struct Error *error) {
  (void)handle;
  if (strstr(uri, "refused")) { char text[8192]; snprintf(text, sizeof text, "cannot connect to %s", uri); return fail(error, INTERNAL, text); }
  return OK;
}
static uint8_t init_connection(struct Handle *handle, struct Handle *database, struct Error *error) { (void)handle; (void)database; (void)error; return OK; }
static uint8_t release_database(struct Handle *handle, struct Error *error) { (void)error; handle->private_data = NULL; note("database released"); return OK; }
static uint8_t drop(struct Handle *handle, struct Error *error) { (void)error; handle->private_data = NULL; return OK; }
static uint8_t set(struct Handle *handle, const char *key, const char *value, struct Error *error) {
  (void)handle;
  if (strcmp(key, "uri") == 0) snprintf(uri, sizeof uri, "%s", value);
  else if (strcmp(key, "witness") == 0) snprintf(witness, sizeof witness, "%s", value);
  else return fail(error, NOT_IMPLEMENTED, "unknown option");
  return OK;
}
static uint8_t query(struct Handle *handle, const char *text, struct Error *error) {
  (void)handle; (void)error; cancelled = 0; sent = 0; snprintf(mode, sizeof mode, "%s", text); return OK;
}
static uint8_t cancel(struct Handle *handle, struct Error *error) { (void)handle; (void)error; cancelled = 1; note("cancelled"); return OK; }

static void free_schema(struct Schema *schema) {
  for (int64_t i = 0; i < schema->n_children; i++) { if (schema->children[i]->release) schema->children[i]->release(schema->children[i]); free(schema->children[i]); }
  free(schema->children); schema->release = NULL;
}
static struct Schema *child_schema(const char *name, const char *format) {
  struct Schema *schema = calloc(1, sizeof *schema);
  schema->name = name; schema->format = format; schema->flags = 2; schema->release = free_schema; return schema;
}
static int get_schema(struct Stream *stream, struct Schema *out) {
  (void)stream;
  memset(out, 0, sizeof *out);
  out->format = "+s"; out->name = ""; out->release = free_schema;
  if (is("no schema")) { out->release = NULL; return EIO; }
  if (is("schema of no struct")) { out->format = "l"; return 0; }
  if (is("schema of an unknown type")) out->format = "?";
  if (is("schema without a format")) out->format = NULL;
  out->n_children = 2; out->children = calloc(2, sizeof *out->children);
  out->children[0] = child_schema("id", "l"); out->children[1] = child_schema("name", "u");
  return 0;
}

static void free_array(struct Array *array) {
  for (int64_t i = 0; i < array->n_children; i++) { if (array->children[i]->release) array->children[i]->release(array->children[i]); free(array->children[i]); }
  for (int64_t i = 0; i < array->n_buffers; i++) free((void *)array->buffers[i]);
  free(array->children); free(array->buffers); array->release = NULL;
}
static void fill(struct Array *array, int64_t length, int64_t n_buffers, int64_t n_children) {
  memset(array, 0, sizeof *array);
  array->length = length; array->n_buffers = n_buffers; array->n_children = n_children;
  array->buffers = calloc(n_buffers, sizeof *array->buffers);
  array->children = calloc(n_children ? n_children : 1, sizeof *array->children);
  array->release = free_array;
}
static int get_next(struct Stream *stream, struct Array *out) {
  (void)stream;
  enum { ROWS = 1000 };
  if (is("hang in rows, deaf") && sent) be_deaf();
  if (is("hang in rows") && sent) { while (!cancelled) usleep(1000); return ECANCELED; }
  if (is("break off") && sent >= 3 * ROWS) return EIO;
  if (is("break off without a word") && sent >= 3 * ROWS) return EPIPE;
  if (is("rows") && sent >= 5 * ROWS) { memset(out, 0, sizeof *out); return 0; }
  if (is("endless") && cancelled) return ECANCELED;
  fill(out, ROWS, 1, 2);
  struct Array *ids = calloc(1, sizeof *ids), *names = calloc(1, sizeof *names);
  fill(ids, ROWS, 2, 0); fill(names, ROWS, 3, 0);
  int64_t *id = malloc(ROWS * sizeof *id);
  int32_t *offset = malloc((ROWS + 1) * sizeof *offset);
  char *text = malloc(ROWS * 8 + 1);
  for (int i = 0; i < ROWS; i++) { id[i] = sent + i; offset[i] = i * 8; sprintf(text + i * 8, "n%07d", (int)(sent + i)); }
  offset[ROWS] = ROWS * 8;
  ids->buffers[1] = id; names->buffers[1] = offset; names->buffers[2] = text;
  out->children[0] = ids; out->children[1] = names;
  if (is("one column too few")) { names->release(names); free(names); out->n_children = 1; }
  if (is("columns of different lengths")) names->length = ROWS / 2;
  if (is("a buffer that is not there")) { free(id); ids->buffers[1] = NULL; }
  if (is("too few buffers")) { free(text); names->n_buffers = 2; }
  if (is("text that is not UTF-8")) text[9] = (char)0xff;
  if (is("offsets that go back")) offset[5] = offset[4] - 100;
  if (is("an offset beyond the text")) offset[5] = offset[ROWS] + 100;
  sent += ROWS;
  return 0;
}
static const char *last_error(struct Stream *stream) {
  (void)stream;
  static char text[8192];
  if (is("break off without a word")) return NULL;
  snprintf(text, sizeof text, "connection to %s lost", uri);
  return text;
}
static void free_stream(struct Stream *stream) { note("stream released"); stream->release = NULL; }

static uint8_t execute(struct Handle *handle, struct Stream *out, int64_t *rows, struct Error *error) {
  (void)handle;
  if (rows) *rows = -1;
  if (is("hang")) { while (!cancelled) usleep(1000); return fail(error, CANCELLED, "cancelled"); }
  if (is("hang, deaf")) { be_deaf(); return fail(error, CANCELLED, "at last"); }
  if (is("fail")) return fail(error, INVALID, "no such table at line 1");
  if (is("fail without a message")) return fail(error, INTERNAL, NULL);
  if (is("fail with an unknown status")) return fail(error, 200, "odd");
  if (is("fail with broken text")) return fail(error, INTERNAL, "\xff\xfe");
  if (is("no stream")) return OK;
  memset(out, 0, sizeof *out);
  out->get_schema = is("no get_schema") ? NULL : get_schema;
  out->get_next = is("no get_next") ? NULL : get_next;
  out->get_last_error = last_error; out->release = free_stream;
  return OK;
}

static void install(void **driver) {
  driver[3] = init; driver[4] = make; driver[5] = set; driver[6] = release_database;
  driver[12] = init_connection; driver[13] = make; driver[16] = drop;
  driver[20] = execute; driver[23] = make; driver[25] = drop; driver[26] = set; driver[27] = query;
}
uint8_t AdbcDriverInit(int version, void *driver, struct Error *error) {
  (void)error; (void)version;
  install(driver);
  ((void **)driver)[49] = cancel;
  return OK;
}
uint8_t OldInit(int version, void *driver, struct Error *error) {
  if (version != 1000000) return fail(error, NOT_IMPLEMENTED, "only version 1.0.0");
  install(driver);
  return OK;
}
uint8_t EmptyInit(int version, void *driver, struct Error *error) { (void)version; (void)driver; (void)error; return OK; }
uint8_t FailingInit(int version, void *driver, struct Error *error) { (void)version; (void)driver; return fail(error, INTERNAL, "out of order"); }
