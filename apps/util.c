/* Small things that the programs share. */
#define _GNU_SOURCE 1
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void vsay(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
static void vsay(const char *format, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof line, format, ap);
	fprintf(stderr, "tapglass: %s\n", line);
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsay(format, ap);
	va_end(ap);
}

int usage_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsay(format, ap);
	va_end(ap);
	return EXIT_USAGE;
}

int failure(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsay(format, ap);
	va_end(ap);
	return EXIT_FAILED;
}

bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t sum = 0;

	if (*text == '\0') {
		return false;
	}
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || sum > (UINT64_MAX - 9) / 10) {
			return false;
		}
		sum = sum * 10 + (uint64_t)(*text - '0');
	}
	*out = sum;
	return sum >= min && sum <= max;
}

bool parse_seconds(const char *text, double max_s, uint64_t *out_ns)
{
	char *end;
	double v;

	if (*text == '\0' || strspn(text, "0123456789.") != strlen(text)) {
		return false;
	}
	v = strtod(text, &end);
	if (*end != '\0' || v > max_s) {
		return false;
	}
	*out_ns = (uint64_t)(v * 1e9);
	return true;
}

char *format_bytes(uint64_t bytes, char buf[16])
{
	static const char unit[] = "kMGTPE";
	double v = (double)bytes;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(buf, 16, "%u B", (unsigned)bytes);
		return buf;
	}
	for (v /= 1000; v >= 999.95 && i + 2 < sizeof unit; i++) {
		v /= 1000;
	}
	snprintf(buf, 16, "%.1f %cB", v, unit[i]);
	return buf;
}

char *format_count(uint64_t n, char buf[28])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	char *o = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0) {
			*o++ = ',';
		}
		*o++ = digits[i];
	}
	*o = '\0';
	return buf;
}

char *format_addr(const struct tg_addr *a, char buf[24])
{
	char ip[16];

	snprintf(buf, 24, "%s:%u", tg_ip_format(&a->ip, ip), (unsigned)a->port);
	return buf;
}

char *format_mac(const uint8_t mac[6], char buf[18])
{
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)mac[0], (unsigned)mac[1],
		(unsigned)mac[2], (unsigned)mac[3], (unsigned)mac[4], (unsigned)mac[5]);
	return buf;
}

const char *errno_text(int64_t result)
{
	return strerror((int)(result < 0 ? -result : result));
}

void seed_expand(uint64_t number, void *out, size_t bytes)
{
	uint8_t *o = out;

	/* splitmix64: good enough to spread a number over a seed that is meant to be repeatable */
	for (size_t i = 0; i < bytes; i++) {
		if (i % 8 == 0) {
			number += UINT64_C(0x9e3779b97f4a7c15);
		}
		uint64_t z = number;
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
		o[i] = (uint8_t)(z >> (8 * (i % 8)));
	}
}

/* ---- Pools ----------------------------------------------------------------------------------- */

#define POOL_CHUNK_RECORDS 64u

struct pool_link {
	_Alignas(16) struct pool_link *next;
};

void pool_init(struct pool *p, size_t record_bytes, uint32_t limit)
{
	size_t align = sizeof(struct pool_link);

	memset(p, 0, sizeof *p);
	p->record_bytes = (record_bytes + align - 1) / align * align;
	p->limit = limit;
}

static bool pool_grow(struct pool *p)
{
	struct pool_link *chunk =
		malloc(sizeof *chunk + p->record_bytes * (size_t)POOL_CHUNK_RECORDS);
	unsigned char *record;

	if (chunk == NULL) {
		return false;
	}
	chunk->next = p->chunks;
	p->chunks = chunk;
	record = (unsigned char *)(chunk + 1);
	for (uint32_t i = 0; i < POOL_CHUNK_RECORDS; i++, record += p->record_bytes) {
		struct pool_link *l = (struct pool_link *)(void *)record;

		l->next = p->free_list;
		p->free_list = l;
	}
	return true;
}

void *pool_get(struct pool *p)
{
	struct pool_link *l;

	if (p->in_use >= p->limit || (p->free_list == NULL && !pool_grow(p))) {
		return NULL;
	}
	l = p->free_list;
	p->free_list = l->next;
	p->in_use++;
	memset(l, 0, p->record_bytes);
	return l;
}

void pool_put(struct pool *p, void *record)
{
	struct pool_link *l = record;

	memset(l, 0, p->record_bytes);
	l->next = p->free_list;
	p->free_list = l;
	p->in_use--;
}

void pool_free(struct pool *p)
{
	struct pool_link *chunk = p->chunks;

	while (chunk != NULL) {
		struct pool_link *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	memset(p, 0, sizeof *p);
}

void printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			*text = '?';
		}
	}
}
