/* What the C tests share. */
#ifndef CHECK_H
#define CHECK_H

#include "tethered.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : failed(__FILE__, __LINE__, #condition))

_Noreturn static inline void failed(const char *file, int line, const char *condition) {
  fprintf(stderr, "%s:%d: %s\n", file, line, condition);
  exit(1);
}

static const uint8_t SEED[16] = {1, 2, 3};

static inline tethered_now at(uint64_t ms) { return (tethered_now){ms, 1700000000000 + ms}; }

static inline tethered_slice text(const char *s) { return (tethered_slice){(const uint8_t *)s, strlen(s)}; }

static inline int is(tethered_slice slice, const char *s) {
  return slice.len == strlen(s) && (slice.len == 0 || memcmp(slice.ptr, s, slice.len) == 0);
}

static inline int begins(tethered_slice slice, const char *s) {
  return slice.len >= strlen(s) && memcmp(slice.ptr, s, strlen(s)) == 0;
}

static inline tethered_header header(const char *name, const char *value) {
  return (tethered_header){text(name), text(value)};
}

/* A copy in a block of exactly that size, so that valgrind sees a read beyond. */
static inline uint8_t *exact(const void *bytes, size_t len) {
  uint8_t *copy = malloc(len ? len : 1);
  CHECK(copy != NULL);
  if (len) memcpy(copy, bytes, len);
  return copy;
}

/* A hub whose configuration this text is. */
static inline tethered_hub *hub_of(const char *toml) {
  tethered_config config;
  tethered_config_init(&config, sizeof config);
  char message[256] = "";
  if (tethered_config_parse(&config, sizeof config, text(toml), message, sizeof message) != TETHERED_OK) failed(toml, 0, message);
  tethered_hub *hub = NULL;
  CHECK(tethered_hub_new(&config, sizeof config, SEED, at(0), &hub) == TETHERED_OK && hub != NULL);
  return hub;
}

static inline tethered_action next(tethered_hub *hub) {
  tethered_action action;
  CHECK(tethered_poll(hub, &action, sizeof action, 1, NULL) == 1);
  return action;
}

static inline tethered_action expect(tethered_hub *hub, uint32_t kind) {
  tethered_action action = next(hub);
  if (action.kind != kind) fprintf(stderr, "kind %u instead of %u\n", action.kind, kind);
  CHECK(action.kind == kind);
  return action;
}

static inline void expect_nothing(tethered_hub *hub) {
  tethered_action action;
  CHECK(tethered_poll(hub, &action, sizeof action, 1, NULL) == 0);
}

static inline tethered_request details(tethered_hub *hub, tethered_action action) {
  tethered_request request;
  CHECK(action.details != 0 && tethered_details(hub, action.details, &request, sizeof request) == TETHERED_OK);
  return request;
}

static inline const tethered_slice *field(const tethered_request *request, const char *name) {
  for (size_t i = 0; i < request->n_headers; i++)
    if (is(request->headers[i].name, name)) return &request->headers[i].value;
  return NULL;
}

/* The last line of the log holds these words. */
static inline void expect_log(tethered_hub *hub, const char *words) {
  tethered_log line;
  char last[512] = "";
  while (tethered_log_next(hub, &line, sizeof line) == 1) {
    size_t len = line.text.len < sizeof last - 1 ? line.text.len : sizeof last - 1;
    memcpy(last, line.text.ptr, len);
    last[len] = 0;
  }
  if (!strstr(last, words)) fprintf(stderr, "the log says \"%s\", not \"%s\"\n", last, words);
  CHECK(strstr(last, words) != NULL);
}

#endif
