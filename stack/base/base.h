/* The few things every file may use: integers, assertions, containers, saturating helpers.
 * Includes no operating-system header; string.h is used for mem* only. */
#ifndef TG_BASE_H
#define TG_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Called when one of our own invariants is broken, never on account of remote input. The host
 * supplies it (port/ does); it must not return. */
_Noreturn void tg_assert_fail(const char *expr, const char *file, int line);

#define ASSERT(e)                    ((e) ? (void)0 : tg_assert_fail(#e, __FILE__, __LINE__))
#define ARRAY_LEN(a)                 (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))

#define NS_PER_US  1000ull
#define NS_PER_MS  1000000ull
#define NS_PER_SEC 1000000000ull
/* A time that never comes, ns. */
#define NEVER_NS UINT64_MAX

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}
static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}
static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}
/* A sum that sticks at the top instead of wrapping: deadlines, byte budgets. */
static inline uint64_t sat_add_u64(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

#define CACHE_LINE_BYTES 64u
/* Will be read soon: has the processor fetch it meanwhile. Any address will do. */
static inline void prefetch(const void *p)
{
	__builtin_prefetch(p);
}
static inline void prefetch_lines(const void *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += CACHE_LINE_BYTES)
		prefetch((const uint8_t *)p + i);
}

#endif
