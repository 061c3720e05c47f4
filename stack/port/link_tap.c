/* A TAP as a link of an instance: a batch read at a time (link_read.c), writing, and
 * between the two an impairing device in each direction and the points of a capture. */
#define _GNU_SOURCE
#include "core/core.h"
#include "port/error.h"
#include "port/gate.h"
#include "port/host.h"
#include "sim/segment.h"

#include <errno.h>
#include <stdlib.h>

#define IMPAIR_MEM_BYTES (256u << 20)
/* Batches of one frame in a row after which that is what is expected, and how often it is doubted.
 */
#define SINGLES_MIN  2u
#define SINGLES_LOOK 8u
/* More packets than one frame can hold. */
#define PACKET_IDS_APART 65536u
/* Packets of different queues have different numbers. */
#define QUEUE_ID_SHIFT 48

static enum tg_link link_type(void)
{
	return TAP_LINK_TYPE;
}

uint64_t tap_link_seen(
	struct tap_link *l, enum hub_place at, bool out, const struct tg_frame *f, uint64_t id)
{
	return l->hub ? hub_seen(l->hub, at, out, f, id, l->h->now_ns) : 0;
}

/* ---- From the instance ----------------------------------------------------------------------- */

static bool send_frame(struct tap_link *l, const struct tg_frame *f)
{
	if (!tap_write(&l->tap, f)) {
		l->busy = true;
		return false;
	}
	return true;
}

static bool tap_link_transmit(void *dev, const struct tg_frame *f)
{
	struct tap_link *l = dev;
	uint64_t id = l->packet_id;

	if (l->dir[1].imp.active) {
		l->packet_id += tap_link_seen(l, HUB_STACK, true, f, id);
		impair_put(&l->dir[1].imp, f, id, l->h->now_ns);
		return true;
	}
	if (!send_frame(l, f))
		return false;
	l->packet_id += tap_link_seen(l, HUB_BOTH, true, f, id);
	return true;
}

bool tap_link_flush(struct tap_link *l, uint64_t now_ns)
{
	struct impair *m = &l->dir[1].imp;
	bool any = false;

	if (!m->active || l->busy)
		return false;
	for (;;) {
		struct impair_pkt *k = l->pending ? l->pending : impair_pop(m, now_ns);
		struct tg_frame f;

		l->pending = NULL;
		if (!k)
			return any;
		segment_frame_of_bytes(
			&f, link_type(), k->data, k->bytes, k->gso, k->gso_size, k->csum);
		if (!send_frame(l, &f)) {
			l->pending = k;
			return any;
		}
		tap_link_seen(l, HUB_LINK, true, &f, k->tag);
		impair_free(m, k);
		any = true;
	}
}

static bool tap_link_pass(void *dev, unsigned to, const struct tg_pkt *p)
{
	struct tap_link *l = dev;

	return group_pass(l->h, to, p);
}

/* ---- Towards the instance -------------------------------------------------------------------- */

/* Reads one frame into the impairing device. */
static bool read_impaired(struct tap_link *l)
{
	struct tg_pkt meta;
	struct tg_frame f;
	uint64_t id = l->packet_id;
	uint32_t n = tap_read(&l->tap, l->scratch, HOST_LARGE_BYTES, &meta);

	if (!n)
		return false;
	segment_frame_of_bytes(&f, link_type(), meta.data, n, meta.gso, meta.gso_size, meta.csum);
	l->packet_id += tap_link_seen(l, HUB_LINK, false, &f, id);
	impair_put(&l->dir[0].imp, &f, id, l->h->now_ns);
	return true;
}

static void deliver(struct tap_link *l, const struct impair_pkt *k)
{
	struct tg *s = l->inst->s;
	struct tg_pkt *p = tg_pkt_alloc(s, k->bytes);
	struct tg_frame f;

	if (!p) {
		l->lost++;
		return;
	}
	memcpy(tg_pkt_block(p), k->data, k->bytes);
	p->len = k->bytes;
	p->gso = k->gso;
	p->gso_size = k->gso_size;
	p->csum = k->csum;
	segment_frame_of_pkt(&f, link_type(), p);
	tap_link_seen(l, HUB_STACK, false, &f, k->tag);
	tg_input(s, (unsigned)l->netif, p, l->h->now_ns);
}

/* Reads one frame, which waits at the gate. */
static bool read_gated(struct tap_link *l)
{
	struct tg_pkt meta = {0};
	uint32_t n = tap_read(&l->tap, l->scratch, HOST_LARGE_BYTES, &meta);
	struct tg_frame f;

	if (!n)
		return false;
	segment_frame_of_bytes(&f, link_type(), meta.data, n, meta.gso, meta.gso_size, meta.csum);
	l->packet_id += tap_link_seen(l, HUB_BOTH, false, &f, l->packet_id);
	if (!gate_hold(l->inst->gate, &meta, meta.data, l->netif))
		l->lost++;
	return true;
}

static bool read_one(struct tap_link *l)
{
	if (l->inst->gate)
		return read_gated(l);
	return l->dir[0].imp.active ? read_impaired(l) : tap_link_read(l);
}

/* Whether to read on until there is nothing. Where frames have come one at a time, the read that
 * finds nothing is left to the poll that follows, but for every so often. */
static bool drains(const struct tap_link *l)
{
	return l->singles < SINGLES_MIN || l->singles % SINGLES_LOOK == 0;
}

static uint32_t read_batch(struct tap_link *l)
{
	bool drain = drains(l);
	uint32_t n = 0;

	while (l->readable && n < HOST_BATCH_FRAMES) {
		l->readable = read_one(l);
		n += l->readable;
		l->readable = l->readable && drain;
	}
	tap_link_read_end(l);
	if (n > 0)
		l->singles = n == 1 ? l->singles + 1 : 0;
	return n;
}

uint32_t tap_link_receive(struct tap_link *l, uint64_t now_ns)
{
	struct impair *m = &l->dir[0].imp;
	struct impair_pkt *k;
	uint32_t n = read_batch(l);

	while (m->active && (k = impair_pop(m, now_ns)) != NULL) {
		deliver(l, k);
		impair_free(m, k);
		n++;
	}
	return n;
}

uint64_t tap_link_deadline(const struct tap_link *l)
{
	uint64_t in = l->dir[0].imp.active ? impair_next(&l->dir[0].imp) : NEVER_NS;
	uint64_t out = l->dir[1].imp.active && !l->busy ? impair_next(&l->dir[1].imp) : NEVER_NS;

	return min_u64(in, out);
}

/* ---- Making and ending ----------------------------------------------------------------------- */

static void decided(void *arg, enum tg_impair_what what, uint64_t tag, uint64_t now_ns)
{
	struct tap_dir *d = arg;

	if (d->link->hub)
		hub_impaired(d->link->hub, what, tag);
	host_note(d->link->inst, what, d->dir, d->link->netif, now_ns);
}

static int start_impairing(struct tap_link *l, const struct tg_link_options *o)
{
	const struct tg_impair *opt[2] = {&o->in, &o->out};
	struct arena *a;

	if (!tg_impair_active(&o->in) && !tg_impair_active(&o->out))
		return 0;
	l->mem_bytes = IMPAIR_MEM_BYTES;
	l->mem = host_map(l->mem_bytes);
	a = l->mem ? arena_init(l->mem, l->mem_bytes, 0) : NULL;
	if (!a)
		return -ENOMEM;
	for (unsigned i = 0; i < 2; i++) {
		struct impair_config c = {
			.opt = *opt[i],
			.purpose = i,
			.link = link_type(),
			.max_bytes = l->mem_bytes / 8 * 3,
			.decided = decided,
			.arg = &l->dir[i],
		};

		memcpy(c.seed, o->impair_seed, sizeof(c.seed));
		l->dir[i].link = l;
		l->dir[i].dir = (uint8_t)i;
		if (!impair_init(&l->dir[i].imp, a, &c))
			return -ENOMEM;
	}
	return 0;
}

static void tell_drops(struct tap_link *l)
{
	const struct tg_impair_stats *in = &l->dir[0].imp.stats, *out = &l->dir[1].imp.stats;

	if (l->hub)
		hub_drops(l->hub, in->dropped + in->queue_drops + l->lost,
			out->dropped + out->queue_drops);
}

int tap_link_capture(struct tap_link *l, struct tg_capture *c)
{
	int result;

	if (!l->hub) {
		char name[40];

		if (l->queue_plus_1)
			ERROR_TEXT(name, "%s queue %u", l->tap.name, l->queue_plus_1 - 1);
		else
			ERROR_TEXT(name, "%s", l->tap.name);
		l->hub = hub_new(l->inst->s, link_type(), name, l->mem != NULL);
		/* Beyond the numbers of what is under way. */
		l->packet_id += PACKET_IDS_APART;
	}
	if (!l->hub)
		return -ENOMEM;
	tell_drops(l);
	result = hub_add(l->hub, c);
	tap_link_capture_end(l, NULL);
	return result;
}

void tap_link_capture_end(struct tap_link *l, const struct tg_capture *c)
{
	if (!l->hub)
		return;
	tell_drops(l);
	if (c)
		hub_remove(l->hub, c);
	if (hub_is_empty(l->hub)) {
		hub_free(l->hub);
		l->hub = NULL;
	}
}

static int add_netif(struct tap_link *l, const struct tg_link_options *o)
{
	struct tg_netif_config c = {
		.link = link_type(),
		.mtu = o->mtu ? o->mtu : l->tap.mtu,
		.caps = l->tap.caps,
		.transmit = tap_link_transmit,
		.dev = l,
		.announce = o->queue == 0,
		.pass = o->queues > 1 ? tap_link_pass : NULL,
	};

	memcpy(c.name, l->tap.name, sizeof(c.name));
	memcpy(c.mac, o->mac, sizeof(c.mac));
	l->netif = tg_netif_add(l->inst->s, &c, tg_host_now());
	l->merging = !o->no_merge;
	gro_init(&l->gro, link_type(), l->inst->s->csum);
	return l->netif;
}

void tap_link_free(struct tap_link *l)
{
	tell_drops(l);
	hub_free(l->hub);
	tap_close(&l->tap);
	host_unmap(l->mem, l->mem_bytes);
	free(l->scratch);
	free(l);
}

struct tap_link *tap_link_new(struct tg_host *h, struct tg *s)
{
	struct tap_link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->tap.fd = -1;
	l->h = h;
	l->inst = host_find(h, s);
	l->scratch = malloc(HOST_LARGE_BYTES);
	if (!l->inst || !l->scratch) {
		tap_link_free(l);
		return NULL;
	}
	return l;
}

int tap_link_start(struct tap_link *l, const struct tg_link_options *o)
{
	int result = start_impairing(l, o);

	l->packet_id = 1 + ((uint64_t)o->queue << QUEUE_ID_SHIFT);
	if (o->queues > 1)
		l->queue_plus_1 = o->queue + 1;
	if (result == 0 && o->capture)
		result = tap_link_capture(l, o->capture);
	if (result == 0)
		result = add_netif(l, o);
	if (result < 0) {
		tap_link_free(l);
		return result;
	}
	l->readable = true;
	*l->h->taps_end = l;
	l->h->taps_end = &l->next;
	return result;
}

int tg_host_tap(struct tg_host *h, struct tg *s, const char *name, const struct tg_ip *host_ip,
	unsigned prefix_len, const struct tg_link_options *o, struct tg_host_error *err)
{
	struct tap_request q = {
		.name = name,
		.plain = o->plain,
		.mtu = o->mtu,
		.host_ip = host_ip ? tg_ip4_value(host_ip) : 0,
		.prefix_len = prefix_len < 32 ? prefix_len : 32,
		.queue = o->queue,
		.queues = o->queues,
	};
	struct tap_link *l = tap_link_new(h, s);
	int result;

	error_begin(err, ENOMEM);
	ERROR_TEXT(err->what, "cannot use TAP %s", name);
	if (!l)
		return -ENOMEM;
	result = tap_open(&l->tap, &q, &sys_ops_default, err);
	if (result < 0) {
		tap_link_free(l);
		return result;
	}
	result = tap_link_start(l, o);
	if (result < 0) {
		error_begin(err, -result);
		ERROR_TEXT(err->what, "cannot use TAP %s", name);
		return result;
	}
	memset(err, 0, sizeof(*err));
	return result;
}
