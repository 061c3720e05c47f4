/* The network simulator's links: each direction loses packets by a model (independent, or
 * Gilbert-Elliott), queues them, sends them at its rate and delivers them after its delay. Large
 * frames are cut into packets first; of TCP's packets only the headers travel. */
#include "sim/net.h"
#include "sim/segment.h"

void net_dir_init(struct net *n, uint32_t i)
{
	struct net_dir *d = &n->dir[i];

	list_init(&d->queue);
	list_init(&d->line);
	rng_init(&d->rng, n->seed, 1000 + i);
	d->out = &n->r->link[i];
	memcpy(d->out->from, n->node[d->from].name, TG_SIM_NAME_BYTES);
	memcpy(d->out->to, n->node[d->to].name, TG_SIM_NAME_BYTES);
	d->out->rate_bps = d->c.rate_bps;
}

void net_pkt_free(struct net *n, struct net_pkt *k)
{
	arena_free(n->arena, k, sizeof(*k) + k->kept);
}

static struct net_pkt *pkt_new(struct net *n, uint32_t kept)
{
	struct net_pkt *k = arena_alloc(n->arena, sizeof(*k) + kept);

	if (!k)
		return NULL;
	memset(k, 0, sizeof(*k));
	list_init(&k->node);
	k->kept = kept;
	return k;
}

/* ---- Losing ---- */

static bool chance(struct net_dir *d, uint32_t ppm)
{
	return ppm > 0 && rng_below(&d->rng, 1000000) < ppm;
}

/* Gilbert-Elliott: one step of the chain a packet, then the loss rate of the state it is in. */
static bool is_lost(struct net_dir *d)
{
	if (d->c.ge_p_ppm) {
		if (chance(d, d->bad ? d->c.ge_r_ppm : d->c.ge_p_ppm))
			d->bad = !d->bad;
		if (chance(d, d->bad ? d->c.ge_bad_ppm : d->c.ge_good_ppm))
			return true;
	}
	return chance(d, d->c.loss_ppm);
}

static bool is_down(const struct net *n, const struct net_dir *d)
{
	for (uint32_t i = 0; i < d->c.n_outages; i++)
		if (n->now_ns >= d->c.outage[i].from_ns && n->now_ns < d->c.outage[i].to_ns)
			return true;
	return false;
}

/* ---- Entering ---- */

static void drop_at_queue(struct net *n, struct net_dir *d, struct net_pkt *k)
{
	if (net_measuring(n))
		d->out->queue_drops++;
	net_pkt_free(n, k);
}

void net_codel_drop(struct net *n, struct net_dir *d, struct net_pkt *k)
{
	drop_at_queue(n, d, k);
}

static void enqueue(struct net *n, struct net_dir *d, struct net_pkt *k)
{
	if (d->queue_pkts >= d->c.queue_pkts) {
		drop_at_queue(n, d, k);
		return;
	}
	k->enter_ns = n->now_ns;
	list_push_back(&d->queue, &k->node);
	d->queue_pkts++;
	d->queue_bytes += k->bytes;
	if (net_measuring(n))
		d->out->queue_max_bytes = max_u64(d->out->queue_max_bytes, d->queue_bytes);
}

static void enter(struct net *n, struct net_dir *d, struct net_pkt *k)
{
	struct net_pkt *twin;

	if (is_down(n, d) || is_lost(d)) {
		if (net_measuring(n))
			d->out->losses++;
		net_pkt_free(n, k);
		return;
	}
	twin = chance(d, d->c.dup_ppm) ? pkt_new(n, k->kept) : NULL;
	if (twin) {
		twin->bytes = k->bytes;
		twin->csum_ok = k->csum_ok;
		memcpy(twin->data, k->data, k->kept);
	}
	enqueue(n, d, k);
	if (twin)
		enqueue(n, d, twin);
	net_dir_run(n, d);
}

void net_forward(struct net *n, struct net_dir *d, struct net_pkt *k)
{
	enter(n, d, k);
}

/* One packet of the frame: whole, or its headers. */
static struct net_pkt *cut(struct net *n, struct segmenter *g)
{
	uint32_t bytes = segment_next_bytes(g);
	struct net_pkt *k = pkt_new(n, g->opaque ? bytes : g->hdr_bytes);

	if (!k) {
		segment_skip(g);
		return NULL;
	}
	k->bytes = bytes;
	k->csum_ok = !g->opaque;
	if (g->opaque)
		segment_next(g, k->data);
	else
		segment_next_headers(g, k->data);
	return k;
}

void net_transmit(struct net *n, struct net_dir *d, const struct tg_frame *f)
{
	struct segmenter g;

	segment_begin(&g, TG_LINK_IP, f, NULL);
	while (segment_next_bytes(&g)) {
		struct net_pkt *k = cut(n, &g);

		if (!k) /* the network's memory is full: as a full queue */
			d->out->queue_drops++;
		else if (d->c.mtu && k->bytes > d->c.mtu) {
			d->out->too_big++; /* a host knows the MTU of its own link */
			net_pkt_free(n, k);
		} else {
			enter(n, d, k);
		}
	}
}

/* ---- Sending ---- */

/* Into the line: in order of arrival, which delays that vary do not change, but reordering does. */
static void depart(struct net *n, struct net_dir *d, struct net_pkt *k, uint64_t sent_ns)
{
	uint64_t due = sent_ns + d->c.delay_ns;
	struct list *at = d->line.prev;

	if (d->c.jitter_ns)
		due += rng_u64(&d->rng) % (2 * d->c.jitter_ns + 1) -
		       min_u64(d->c.jitter_ns, d->c.delay_ns);
	if (chance(d, d->c.reorder_ppm)) {
		k->due_ns = due + d->c.reorder_ns;
	} else {
		k->due_ns = max_u64(due, d->last_due_ns);
		d->last_due_ns = k->due_ns;
	}
	while (at != &d->line && list_entry(at, struct net_pkt, node)->due_ns > k->due_ns)
		at = at->prev;
	list_insert_after(at, &k->node);
	if (net_measuring(n)) {
		d->out->packets++;
		d->out->bytes += k->bytes;
		d->out->wait_max_ns = max_u64(d->out->wait_max_ns, n->now_ns - k->enter_ns);
		d->wait_sum_ns += n->now_ns - k->enter_ns;
		d->out->wait_mean_ns = d->wait_sum_ns / d->out->packets;
	}
}

uint64_t net_dir_next(const struct net_dir *d)
{
	uint64_t t = list_empty(&d->queue) ? NEVER_NS : d->free_ns;

	if (list_empty(&d->line))
		return t;
	return min_u64(t, list_entry(d->line.next, struct net_pkt, node)->due_ns);
}

static void send_queued(struct net *n, struct net_dir *d)
{
	while (!list_empty(&d->queue) && d->free_ns <= n->now_ns) {
		struct net_pkt *k = d->c.codel ? net_codel_pop(n, d) : net_queue_pop(d);
		uint64_t sent_ns = n->now_ns;

		if (!k)
			return;
		if (d->c.rate_bps) /* rounded up: never faster than its rate */
			sent_ns +=
				(k->bytes * 8ull * NS_PER_SEC + d->c.rate_bps - 1) / d->c.rate_bps;
		d->free_ns = sent_ns;
		depart(n, d, k, sent_ns);
	}
}

void net_dir_run(struct net *n, struct net_dir *d)
{
	send_queued(n, d);
	while (!list_empty(&d->line)) {
		struct net_pkt *k = list_entry(d->line.next, struct net_pkt, node);

		if (k->due_ns > n->now_ns)
			return;
		list_del(&k->node);
		net_arrive(n, d->to, k);
	}
}
