/* Small things that the programs share: messages, numbers, formatting, pools of records. */
#ifndef TAPGLASS_APPS_UTIL_H
#define TAPGLASS_APPS_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tapglass.h"

#define TAPGLASS_VERSION "0.1"

/* Exit statuses of every verb. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_ENVIRONMENT = 3,
	EXIT_CHECK_FAILED = 4,
};

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Prints "tapglass: ..." as one line on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, then returns EXIT_USAGE, EXIT_FAILED. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Decimal digits and nothing else, min..max. */
bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* Seconds as a decimal number ("1", "0.2"), at most max_s, in ns. */
bool parse_seconds(const char *text, double max_s, uint64_t *out_ns);

/* "1.2 kB", "3.4 GB"; returns buf. */
char *format_bytes(uint64_t bytes, char buf[16]);
/* "1,234,567"; returns buf. */
char *format_count(uint64_t n, char buf[28]);
/* "192.0.2.1:40612" from an address; returns buf. */
char *format_addr(const struct tg_addr *a, char buf[24]);
char *format_mac(const uint8_t mac[6], char buf[18]);
/* "Connection refused" for a negative result of the library. */
const char *errno_text(int64_t result);

/* What came from outside must not reach the terminal as control characters: they become '?'. */
void printable(char *text);

/* Fills bytes from a number: the same number gives the same bytes. */
void seed_expand(uint64_t number, void *out, size_t bytes);

/* Records of one size, never given back before pool_free: a pointer to one stays readable. */
struct pool {
	size_t record_bytes;
	void *free_list;
	void *chunks;
	uint32_t in_use, limit;
};
void pool_init(struct pool *p, size_t record_bytes, uint32_t limit);
/* A record, zero; NULL: the limit is reached, or out of memory. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *record);
void pool_free(struct pool *p);

#endif
