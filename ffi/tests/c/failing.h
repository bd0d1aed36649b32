/* An allocator that fails as it is told. Link with failing.c, --wrap each of its functions, and compile what is not to fail
 * with -Dmalloc=__real_malloc and the like. */
#ifndef FAILING_H
#define FAILING_H

#include <stdint.h>

/* So many allocations succeed, then so many fail, then all succeed again. UINT64_MAX: for ever. */
void fail_after(uint64_t succeed, uint64_t fail);

/* None fails any more. */
void fail_never(void);

/* How many allocations there were since fail_after or fail_never, failed ones among them; and how many failed. */
uint64_t allocations(void);
uint64_t failures(void);

/* How many blocks there are that were not freed. */
uint64_t blocks(void);

#endif
