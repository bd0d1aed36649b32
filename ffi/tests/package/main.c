/* A program that has nothing but what is installed. */
#include <tethered.h>

#include <stdio.h>

int main(void) {
  tethered_hub *hub = NULL;
  const uint8_t seed[16] = {0};
  const tethered_now now = {1, 1};
  if (tethered_version_num() != TETHERED_VERSION_NUM || tethered_abi() != TETHERED_ABI) return 1;
  if (tethered_hub_new(NULL, 0, seed, now, &hub) != TETHERED_OK) return 2;
  tethered_hub_free(hub);
  printf("tethered %s\n", tethered_version());
  return 0;
}
