/* What the tests of core/ and of the datagram sockets share: an instance in memory of its own, and
 * a device that keeps the frames it is given. */
#ifndef TG_CORE_SUPPORT_H
#define TG_CORE_SUPPORT_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* mmap's flags; include this header first */
#endif
#include <stdio.h>
#include <sys/mman.h>

#include "core/core.h"
#include "unit.h"

#define WORLD_BYTES (32u << 20)
#define DEV_FRAMES  256u

struct dev_frame {
	uint8_t *bytes;
	uint32_t len;
	struct tg_frame f; /* spans are void */
};

/* Keeps what it is given; room: frames it takes before it is busy. */
struct dev {
	struct dev_frame frame[DEV_FRAMES];
	uint32_t n, room, attempts;
	uint64_t hash; /* FNV-1a over all frames */
};

static inline bool dev_transmit(void *arg, const struct tg_frame *f)
{
	struct dev *d = arg;
	struct dev_frame *k = &d->frame[d->n % DEV_FRAMES];
	uint32_t at = 0;

	d->attempts++;
	if (d->room == 0)
		return false;
	d->room--;
	free(k->bytes);
	k->bytes = malloc(f->bytes + 1);
	k->len = f->bytes;
	k->f = *f;
	for (uint32_t i = 0; i < f->n_spans; i++) {
		memcpy(k->bytes + at, f->span[i].base, f->span[i].len);
		at += f->span[i].len;
	}
	UNIT_CHECK(at == f->bytes && f->n_spans <= TG_FRAME_SPANS);
	for (uint32_t i = 0; i < at; i++)
		d->hash = (d->hash ^ k->bytes[i]) * 0x100000001b3ull;
	d->n++;
	return true;
}

static inline void dev_init(struct dev *d)
{
	memset(d, 0, sizeof(*d));
	d->room = UINT32_MAX;
	d->hash = 0xcbf29ce484222325ull;
}

static inline void dev_clear(struct dev *d)
{
	for (uint32_t i = 0; i < DEV_FRAMES; i++) {
		free(d->frame[i].bytes);
		d->frame[i].bytes = NULL;
	}
	d->n = 0;
	d->attempts = 0;
}

static const uint8_t dev_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

static inline void world_config(struct tg_config *c)
{
	tg_config_default(c);
	for (unsigned i = 0; i < sizeof(c->seed); i++)
		c->seed[i] = (uint8_t)(i + 1);
}

static inline void *world_memory(void)
{
	void *mem = mmap(NULL, WORLD_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		abort();
	return mem;
}

static inline struct tg *world_core(void)
{
	struct tg_config c;
	struct tg *s;

	world_config(&c);
	s = core_create(&c, world_memory(), WORLD_BYTES, 0);
	ck_assert_ptr_nonnull(s);
	return s;
}

static inline unsigned world_netif(
	struct tg *s, struct dev *d, enum tg_link link, uint32_t caps, uint32_t mtu)
{
	struct tg_netif_config c;
	int r;

	memset(&c, 0, sizeof(c));
	snprintf(c.name, sizeof(c.name), "t%u", (unsigned)s->n_netifs);
	c.link = link;
	memcpy(c.mac, dev_mac, 6);
	c.mtu = mtu;
	c.caps = caps;
	c.transmit = dev_transmit;
	c.dev = d;
	r = tg_netif_add(s, &c, s->now_ns);
	ck_assert_int_gt(r, 0);
	return (unsigned)r;
}

static inline void world_input(struct tg *s, unsigned netif, const void *bytes, uint32_t len)
{
	struct tg_pkt *p = tg_pkt_alloc(s, len);

	ck_assert_ptr_nonnull(p);
	memcpy(p->data, bytes, len);
	p->len = len;
	tg_input(s, netif, p, s->now_ns);
}

/* A packet of 60 bytes, all alike. */
static inline struct tg_pkt *world_control(struct tg *s, uint8_t mark)
{
	struct tg_pkt *p = pkt_alloc(s, 60);

	memset(p->data, mark, 60);
	p->len = 60;
	return p;
}

/* Frames in = delivered + dropped, and the reasons add up. */
static inline void world_check(const struct tg *s)
{
	const struct tg_counters *c = tg_counters(s);
	uint64_t dropped = 0;

	for (unsigned i = 0; i < TG_DROP_COUNT; i++)
		dropped += c->drops[i];
	UNIT_CHECK(c->frames_in == c->frames_delivered + c->frames_dropped);
	UNIT_CHECK(dropped == c->frames_dropped);
}

static inline void world_end(struct tg *s)
{
	world_check(s);
	arena_check(s->arena);
	munmap(s->arena, WORLD_BYTES);
}

#endif
