/* Time, randomness and the processor's abilities: what the core has to be told from outside. */
#define _GNU_SOURCE
#include "base/csum.h"
#include "tapglass_host.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

uint64_t tg_host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

int tg_host_random(void *buf, size_t bytes)
{
	uint8_t *b = buf;

	while (bytes > 0) {
		ssize_t n = getrandom(b, bytes, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			b += n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

int tg_host_config(struct tg_config *c)
{
	tg_config_default(c);
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		c->csum = csum_add_avx2;
#endif
	return tg_host_random(c->seed, sizeof(c->seed));
}
