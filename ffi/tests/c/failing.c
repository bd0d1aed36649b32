/* FAIL_EVERY=K in the environment: each K-th allocation fails. FAIL_AT=N: the N-th fails. With ALLOCATIONS set, how many there
 * were is told at the end. The look whether there is memory again (65,536 bytes and what is brought) succeeds with these two:
 * programs that know nothing of it are to go on as ever. */
#include "failing.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
void __wrap_free(void *block);

static uint64_t first, last, every, at_, n_allocations, n_failures, n_blocks;

void fail_after(uint64_t succeed, uint64_t fail) {
  n_allocations = n_failures = 0;
  first = succeed, last = fail > UINT64_MAX - succeed ? UINT64_MAX : succeed + fail;
}

void fail_never(void) { fail_after(UINT64_MAX, 0); }
uint64_t allocations(void) { return n_allocations; }
uint64_t failures(void) { return n_failures; }
uint64_t blocks(void) { return n_blocks; }

static void tell(void) { fprintf(stderr, "%llu\n", (unsigned long long)n_allocations); }

__attribute__((constructor)) static void set_up(void) {
  const char *k = getenv("FAIL_EVERY"), *n = getenv("FAIL_AT");
  every = k ? strtoull(k, NULL, 10) : 0, at_ = n ? strtoull(n, NULL, 10) : 0;
  fail_never();
  if (getenv("ALLOCATIONS")) atexit(tell);
}

static int fails(size_t size) {
  uint64_t n = n_allocations++;
  int planned = n >= first && n < last;
  int always = size != 65536 && ((every != 0 && (n + 1) % every == 0) || (at_ != 0 && n + 1 == at_));
  if (!planned && !always) return 0;
  n_failures++, errno = ENOMEM;
  return 1;
}

static void *counted(void *block) {
  n_blocks += block != NULL;
  return block;
}

void *__wrap_malloc(size_t size) { return fails(size) ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails(count * size) ? NULL : counted(__real_calloc(count, size)); }

void *__wrap_realloc(void *block, size_t size) {
  if (fails(size)) return NULL;
  void *moved = __real_realloc(block, size);
  return block ? moved : counted(moved);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size) {
  if (fails(size)) return ENOMEM;
  int failed = __real_posix_memalign(out, align, size);
  n_blocks += !failed;
  return failed;
}

void __wrap_free(void *block) {
  n_blocks -= block != NULL;
  __real_free(block);
}
