/* The network simulator's queues: first in, first out, with tail drop (net_link.c) or CoDel (RFC
 * 8289 5), which here may mark instead of dropping what says it can be marked (RFC 3168 5). */
#include "sim/net.h"
#include "wire/ip4.h"

struct net_pkt *net_queue_pop(struct net_dir *d)
{
	struct list *l = list_pop_front(&d->queue);
	struct net_pkt *k = l ? list_entry(l, struct net_pkt, node) : NULL;

	if (!k)
		return NULL;
	d->queue_pkts--;
	d->queue_bytes -= k->bytes;
	return k;
}

static uint64_t square_root(uint64_t v)
{
	uint64_t root = 0;

	for (uint64_t bit = 1ull << 62; bit; bit >>= 2) {
		if (v >= root + bit) {
			v -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

/* [8289 5.5] t + interval / sqrt(count) */
static uint64_t control_law(const struct net_dir *d, uint64_t t_ns)
{
	uint64_t us = d->c.interval_ns / NS_PER_US;

	return t_ns + square_root(us * us / max_u32(d->codel.count, 1)) * NS_PER_US;
}

/* The next packet, and whether it has been above the target for an interval [8289 5.4]. */
static struct net_pkt *take(struct net *n, struct net_dir *d, bool *may_drop)
{
	struct net_pkt *k = net_queue_pop(d);

	*may_drop = false;
	if (!k || n->now_ns - k->enter_ns < d->c.target_ns || d->queue_bytes <= 1500) {
		d->codel.first_above_ns = 0;
		return k;
	}
	if (d->codel.first_above_ns == 0)
		d->codel.first_above_ns = n->now_ns + d->c.interval_ns;
	else
		*may_drop = n->now_ns >= d->codel.first_above_ns;
	return k;
}

/* CE, if the packet says that it may be marked. */
static bool mark(struct net_dir *d, struct net_pkt *k)
{
	struct ip4_hdr h;

	if (!d->c.ecn || ip4_parse(k->data, k->bytes, &h) != TG_DROP_NONE || !(h.tos & 3))
		return false;
	h.tos |= 3;
	ip4_emit(k->data, &h);
	d->out->marks++;
	return true;
}

static struct net_pkt *drop_or_mark(
	struct net *n, struct net_dir *d, struct net_pkt *k, bool *may_drop)
{
	if (mark(d, k)) {
		*may_drop = true;
		return k;
	}
	net_codel_drop(n, d, k);
	return take(n, d, may_drop);
}

static struct net_pkt *go_on_dropping(
	struct net *n, struct net_dir *d, struct net_pkt *k, bool may_drop)
{
	struct net_codel *c = &d->codel;

	if (!may_drop) {
		c->dropping = false;
		return k;
	}
	while (k && c->dropping && n->now_ns >= c->drop_next_ns) {
		bool marked = mark(d, k);

		c->count++;
		if (!marked) {
			net_codel_drop(n, d, k);
			k = take(n, d, &may_drop);
		}
		if (!may_drop)
			c->dropping = false;
		else
			c->drop_next_ns = control_law(d, c->drop_next_ns);
		if (marked)
			break;
	}
	return k;
}

struct net_pkt *net_codel_pop(struct net *n, struct net_dir *d)
{
	struct net_codel *c = &d->codel;
	bool may_drop;
	struct net_pkt *k = take(n, d, &may_drop);
	uint32_t delta;

	if (!k) {
		c->dropping = false;
		return NULL;
	}
	if (c->dropping)
		return go_on_dropping(n, d, k, may_drop);
	if (!may_drop)
		return k;
	k = drop_or_mark(n, d, k, &may_drop);
	c->dropping = true;
	/* [8289 5.5] soon after the last time: where that had got to */
	delta = c->count - c->last_count;
	c->count = delta > 1 && n->now_ns - c->drop_next_ns < 16 * d->c.interval_ns ? delta : 1;
	c->drop_next_ns = control_law(d, n->now_ns);
	c->last_count = c->count;
	return k;
}
