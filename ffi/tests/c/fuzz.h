/* What the fuzz targets share. Each is LLVMFuzzerTestOneInput: with libFuzzer (clang -fsanitize=fuzzer,address,undefined), or,
 * compiled with -DREPLAY, a program that runs over files, or over so many inputs of its own making:
 *
 *   fuzz_calls FILE...
 *   fuzz_calls random COUNT SEED
 *
 * Failing is the same in both: the process does not end with 0. */
#ifndef FUZZ_H
#define FUZZ_H

#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const uint8_t *input;
static size_t left;

/* So many bytes of the input as a number; 0 where it has ended. */
static inline uint64_t take(size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes && left > 0; i++, left--) value = value << 8 | *input++;
  return value;
}

/* The hubs whose logs tell what a bug said. */
static tethered_hub *hubs[2];

/* Whatever is given, two statuses never come. */
static inline int32_t fine(int32_t status) {
  if (status == TETHERED_E_PANIC || status == TETHERED_E_POISONED) {
    tethered_log line;
    for (size_t i = 0; i < sizeof hubs / sizeof hubs[0]; i++)
      while (hubs[i] && tethered_log_next(hubs[i], &line, sizeof line) == 1)
        fprintf(stderr, "%.*s\n", (int)line.text.len, (const char *)line.text.ptr);
    fprintf(stderr, "%s\n", tethered_strerror(status));
    abort();
  }
  return status;
}

/* Reads what is lent, for a sanitizer to see whether it still is. */
static inline void touch(tethered_slice lent) {
  static volatile uint8_t touched;
  for (size_t i = 0; i < lent.len; i++) touched = (uint8_t)(touched ^ lent.ptr[i]);
}

static inline void touch_details(tethered_hub *hub, uint64_t details) {
  tethered_request more;
  if (details == 0 || fine(tethered_details(hub, details, &more, sizeof more)) != TETHERED_OK) return;
  for (size_t i = 0; i < more.n_headers; i++) touch(more.headers[i].name), touch(more.headers[i].value);
  for (size_t i = 0; i < more.n_attributes; i++) touch(more.attributes[i].name), touch(more.attributes[i].value);
}

#ifdef REPLAY
static uint8_t *of_file(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) failed(path, 0, strerror(errno));
  CHECK(fseek(file, 0, SEEK_END) == 0);
  const long size = ftell(file);
  CHECK(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
  *len = (size_t)size;
  uint8_t *bytes = malloc(*len ? *len : 1);
  CHECK(bytes != NULL && fread(bytes, 1, *len, file) == *len);
  fclose(file);
  return bytes;
}

static void at_random(uint64_t count, uint64_t chance) {
  static uint8_t bytes[4096];
  for (uint64_t round = 0; round < count; round++) {
    chance = (chance + round) * 0x9e3779b97f4a7c15u + 1;
    size_t len = 64 + (size_t)(chance >> 40) % (sizeof bytes - 64);
    for (size_t i = 0; i < len; i++) {
      chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
      bytes[i] = (uint8_t)(chance >> 32);
    }
    LLVMFuzzerTestOneInput(bytes, len);
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "random") == 0) {
    at_random(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
  } else {
    for (int i = 1; i < argc; i++) {
      size_t len;
      uint8_t *bytes = of_file(argv[i], &len);
      /* Should it be the last line, this is the one. */
      fprintf(stderr, "%s\n", argv[i]);
      LLVMFuzzerTestOneInput(bytes, len);
      free(bytes);
    }
  }
  puts("ok");
  return 0;
}
#endif

#endif
