/* The packet-script engine: the clock and the order of events. Before each event the instance's own
 * deadlines run in order up to its time; what is emitted meanwhile waits, with its time, for the
 * lines that expect it. A call that blocks runs the events behind it until it may go on. */
#include "sim/drill.h"

#define STEPS_AT_ONCE 100000u /* more at one moment: the stack does not come to rest */

static uint64_t clock_now(void *ctx)
{
	return ((const struct drill *)ctx)->now_ns;
}

/* ---- What the stack emits -------------------------------------------------------------------- */

static struct drill_pkt *fifo_at(const struct drill *d, uint32_t i)
{
	return &d->fifo[(d->fifo_head + i) % DRILL_PACKETS];
}

static void fifo_pop(struct drill *d)
{
	d->fifo_head = (d->fifo_head + 1) % DRILL_PACKETS;
	d->fifo_count--;
}

/* A packet on ports that are new: a connection that we open. */
static void note_flow(struct drill *d, const struct drill_pkt *p)
{
	uint32_t before = d->n_flows;
	struct drill_flow *f;

	if ((p->proto != IP_PROTO_TCP && p->proto != IP_PROTO_UDP) || p->fault)
		return;
	f = drill_flow(d, p->src_port, p->dst_port);
	if (f && d->n_flows > before)
		d->cur_flow = before;
}

/* The n bytes of d->frame in the script's words. False: a fragment, and more of it are missing. */
static bool read_frame(struct drill *d, uint32_t n, struct drill_pkt *p)
{
	struct drill_pkt pieces = {0};
	struct ip4_hdr h;

	if (ip4_parse(d->frame, n, &h) == TG_DROP_NONE && (h.mf || h.frag_off)) {
		n = drill_gather(d, n, &pieces);
		if (!n && !pieces.fault)
			return false;
	}
	*p = pieces;
	if (p->fault)
		return true;
	drill_read(d->frame, n, p);
	p->n_frags = pieces.n_frags;
	p->frag_at = pieces.frag_at;
	return true;
}

bool drill_transmit(void *dev, const struct tg_frame *f)
{
	struct drill *d = dev;
	struct drill_pkt *p;
	uint32_t n = 0;

	if (d->fifo_count == DRILL_PACKETS || d->emitted == DRILL_EMITTED_MAX) {
		drill_fail(d, d->current, "the stack sends without end");
		return true;
	}
	d->emitted++;
	if (d->hooks)
		d->hooks->sent(d->hooks->arg, f);
	p = fifo_at(d, d->fifo_count);
	for (uint32_t i = 0; i < f->n_spans; i++) {
		if (f->span[i].len > IP4_MAX_BYTES - n)
			break;
		memcpy(d->frame + n, f->span[i].base, f->span[i].len);
		n += f->span[i].len;
	}
	if (!read_frame(d, n, p))
		return true;
	d->fifo_count++;
	if (f->bytes != n || f->gso != TG_GSO_NONE || f->csum_partial)
		p->fault = "unfinished frame for a device without offloads";
	p->time_ns = d->now_ns;
	note_flow(d, p);
	return true;
}

/* Several segments that make up one of the script. */
static void glue(struct drill *d, const struct drill_pkt *want, struct drill_pkt *p)
{
	while (!d->o.strict_segments && p->proto == IP_PROTO_TCP && !p->fault && p->g.text_bytes &&
		p->g.text_bytes < want->g.text_bytes && d->fifo_count) {
		const struct drill_pkt *q = fifo_at(d, 0);

		if (q->proto != IP_PROTO_TCP || q->fault || q->n_frags || p->n_frags ||
			q->src_port != p->src_port || q->dst_port != p->dst_port ||
			!seq_eq(q->g.ack, p->g.ack) ||
			!seq_eq(q->g.seq, seq_add(p->g.seq, p->g.text_bytes)) || !q->g.text_bytes ||
			q->time_ns != p->time_ns)
			return;
		p->g.text_bytes += q->g.text_bytes;
		p->g.flags |= q->g.flags;
		fifo_pop(d);
	}
}

/* ---- Time ------------------------------------------------------------------------------------ */

void drill_settle(struct drill *d)
{
	struct tg_event ev;

	for (uint32_t i = 0; i < STEPS_AT_ONCE && !d->failed; i++) {
		if (++d->steps > DRILL_STEPS_MAX) {
			drill_error(d, d->current->pos, "this script goes on without end", "", 0);
			return;
		}
		tg_step(d->s, d->now_ns);
		while (tg_event(d->s, &ev)) {
			if (d->hooks)
				d->hooks->told(d->hooks->arg, &ev);
			bsd_event(&d->bsd, &ev);
		}
		if (tg_next_deadline(d->s) > d->now_ns)
			return;
	}
	if (!d->failed)
		drill_fail(d, d->current, "the stack does not come to rest");
}

bool drill_advance(struct drill *d, uint64_t until_ns, const struct bsd_want *w, unsigned n)
{
	if (until_ns > d->end_ns)
		return drill_error(
			d, d->current->pos, "no script lasts longer than 30 days", "", 0);
	while (!d->failed) {
		uint64_t t = tg_next_deadline(d->s);

		if (w && bsd_any_ready(&d->bsd, w, n))
			return false;
		if (t > until_ns)
			break;
		if (d->hooks && !drill_ask_timer(d, max_u64(d->now_ns, t)))
			continue;
		d->now_ns = max_u64(d->now_ns, t);
		drill_settle(d);
	}
	d->now_ns = max_u64(d->now_ns, until_ns);
	return !d->failed;
}

/* Steps from deadline to deadline until something was emitted. */
static void advance_to_packet(struct drill *d, uint64_t until_ns)
{
	while (!d->failed && !d->fifo_count && tg_next_deadline(d->s) <= until_ns) {
		uint64_t t = max_u64(d->now_ns, tg_next_deadline(d->s));

		if (d->hooks && !drill_ask_timer(d, t))
			continue;
		d->now_ns = t;
		drill_settle(d);
	}
}

/* When it is this event's turn, by the clock. */
static void make_due(const struct drill *d, struct drill_event *e)
{
	uint64_t base = e->when == WHEN_ABSOLUTE ? DRILL_START_NS : d->base_ns;
	uint64_t since_ns;

	e->slack_ns = d->o.tolerance_us * NS_PER_US;
	if (e->when == WHEN_NOW || e->when == WHEN_ANY) {
		e->due_ns = e->until_ns = d->now_ns;
		return;
	}
	e->due_ns = base + e->start_ns;
	e->until_ns = base + e->end_ns;
	since_ns = e->due_ns > d->base_ns ? e->due_ns - d->base_ns : 0;
	e->slack_ns = max_u64(e->slack_ns, since_ns / 1000 * d->o.tolerance_permille);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void print_times(struct drill *d, const struct drill_event *e, uint64_t got_ns)
{
	struct text t = text_in(d->r->wanted, sizeof(d->r->wanted));

	text_add(&t, "at %t", e->due_ns - DRILL_START_NS);
	if (e->until_ns != e->due_ns)
		text_add(&t, " to %t", e->until_ns - DRILL_START_NS);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, "at %t", got_ns - DRILL_START_NS);
}

static bool time_matches(struct drill *d, const struct drill_event *e, uint64_t got_ns)
{
	uint64_t slack = e->slack_ns;

	if (e->when == WHEN_ANY || (got_ns + slack >= e->due_ns && got_ns <= e->until_ns + slack))
		return true;
	print_times(d, e, got_ns);
	return drill_fail(d, e,
		got_ns < e->due_ns ? "this packet was sent too early"
				   : "this packet was sent too late");
}

static bool run_expect(struct drill *d, struct drill_event *e)
{
	uint64_t until =
		e->when == WHEN_ANY ? d->now_ns + DRILL_PATIENCE_NS : e->until_ns + e->slack_ns;
	struct drill_pkt got;
	struct text t;

	advance_to_packet(d, until);
	if (d->failed || (d->hooks && !drill_ask_line(d, e)))
		return false;
	if (!d->fifo_count) {
		t = text_in(d->r->wanted, sizeof(d->r->wanted));
		drill_print_pkt(&t, e->pkt);
		t = text_in(d->r->got, sizeof(d->r->got));
		text_add(&t, "nothing until %t", until - DRILL_START_NS);
		d->now_ns = max_u64(d->now_ns, until);
		return drill_fail(d, e, "no packet was sent");
	}
	if (e->pkt->src_port) {
		struct drill_flow *f = drill_flow(d, e->pkt->src_port, e->pkt->dst_port);

		if (f)
			d->cur_flow = (uint32_t)(f - d->flows);
	}
	got = *fifo_at(d, 0);
	fifo_pop(d);
	glue(d, e->pkt, &got);
	if (!drill_compare(d, e, &got) || !time_matches(d, e, got.time_ns))
		return false;
	d->cut = NULL;
	if (e->when == WHEN_ANY || e->range)
		d->base_ns = got.time_ns;
	return true;
}

/* The flow an injected packet belongs to, made if it is new. */
static struct drill_flow *inject_flow(struct drill *d, const struct drill_pkt *p)
{
	struct drill_flow *f;

	if (p->src_port)
		f = drill_flow(d, p->dst_port, p->src_port);
	else if (!d->n_flows)
		f = drill_flow(d, d->o.bind_port, DRILL_PEER_PORT);
	else
		f = &d->flows[d->cur_flow];
	if (f)
		d->cur_flow = (uint32_t)(f - d->flows);
	return f;
}

/* The script's numbers as those of this connection. */
static void make_absolute(struct drill_flow *f, struct drill_pkt *p)
{
	p->src_port = f->rport;
	p->dst_port = f->lport;
	p->quote_src = f->lport;
	p->quote_dst = f->rport;
	if (p->has & PKT_HAS_QUOTE && p->quote_proto == IP_PROTO_TCP)
		p->quote_seq += f->local_off;
	if (p->proto != IP_PROTO_TCP)
		return;
	if ((p->g.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		/* A SYN with another number may begin a new connection. */
		if (f->remote_syn && f->remote_isn != p->g.seq.v)
			f->relearn = true;
		f->remote_syn = true;
		f->remote_isn = p->g.seq.v;
	}
	if (p->g.flags & TCP_ACK)
		p->g.ack.v += f->local_off;
	for (uint32_t i = 0; i < p->n_opts; i++) {
		struct tcp_item *o = &p->opts[i];

		if (o->kind == TCP_KIND_SACK)
			for (uint32_t k = 0; k < o->n; k++)
				o->v[k] += f->local_off;
		if (o->kind == TCP_KIND_TS && o->v[1] && f->ts_learned)
			o->v[1] += f->ts_off;
	}
}

bool drill_input(struct drill *d, const struct drill_event *e, const uint8_t *b, uint32_t n)
{
	struct tg_pkt *k = tg_pkt_alloc(d->s, n);

	if (!k)
		return drill_fail(d, e, "the instance has no memory for this packet");
	memcpy(k->data, b, n);
	k->len = n;
	tg_input(d->s, d->netif, k, d->now_ns);
	drill_settle(d);
	return !d->failed;
}

static bool run_inject(struct drill *d, const struct drill_event *e)
{
	struct drill_pkt p = *e->pkt;
	struct drill_flow *f = inject_flow(d, &p);
	const struct drill_check *cut = d->cut;
	enum drill_go go;
	uint32_t n;

	if (!f)
		return drill_error(d, e->pos, "too many connections for one script", "", 0);
	make_absolute(f, &p);
	n = drill_build(d, e, &p);
	if (!n)
		return false;
	d->cut = NULL;
	if (d->hooks)
		memcpy(d->hooks->hold, d->frame, n);
	do {
		go = d->hooks ? drill_ask_packet(d, e, n) : DRILL_GO;
		if (go == DRILL_SKIP)
			return true;
		if (d->failed)
			return false;
		memcpy(d->drops, tg_counters(d->s)->drops, sizeof(d->drops));
		if (cut ? !drill_inject_ranges(d, e, n, cut) : !drill_input(d, e, d->frame, n))
			return false;
	} while (go == DRILL_TWICE);
	return true;
}

bool drill_nothing_left(struct drill *d, const struct drill_event *e)
{
	struct drill_pkt got;
	struct text t;

	if (d->failed)
		return false;
	if (!d->fifo_count && drill_gathering(d))
		return drill_fail(d, e, "a packet was begun in fragments and not sent whole");
	if (!d->fifo_count)
		return true;
	got = *fifo_at(d, 0);
	drill_relative(d, &got);
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	text_add(&t, "nothing");
	t = text_in(d->r->got, sizeof(d->r->got));
	drill_print_pkt(&t, &got);
	text_add(&t, "   at %t", got.time_ns - DRILL_START_NS);
	return drill_fail(d, e, "a packet was sent that no line expects");
}

static bool run_event(struct drill *d, struct drill_event *e)
{
	d->current = e;
	make_due(d, e);
	if (e->kind != EV_EXPECT && d->now_ns > e->due_ns + e->slack_ns)
		return drill_error(d, e->pos, "this time has passed already", "", 0);
	if (d->now_ns < e->due_ns && !drill_advance(d, e->due_ns, NULL, 0))
		return false;
	if (e->when != WHEN_NOW)
		d->base_ns = e->due_ns;
	if (d->hooks && e->kind != EV_INJECT && e->kind != EV_EXPECT && !drill_ask_line(d, e))
		return false;
	switch ((enum drill_kind)e->kind) {
	case EV_INJECT: return run_inject(d, e);
	case EV_EXPECT: return run_expect(d, e);
	case EV_CALL: return drill_run_call(d, e);
	case EV_CHECK: return drill_run_check(d, e);
	case EV_CODE: return drill_run_code(d, e);
	}
	return true;
}

static bool run_next(struct drill *d)
{
	struct drill_event *e = d->next;

	d->next = e->next;
	return run_event(d, e);
}

/* A call has to wait: the script goes on meanwhile. */
bool drill_wait(void *ctx, const struct bsd_want *w, unsigned n, uint64_t deadline_ns)
{
	struct drill *d = ctx;
	const struct drill_event *e = d->current;
	bool ready = false;

	if (!e->blocking || d->blocked) {
		d->blocks = true;
		return false;
	}
	d->blocked = e;
	drill_settle(d);
	while (!d->failed && !ready) {
		uint64_t target = e->until_ns + DRILL_PATIENCE_NS;

		if (d->next) {
			make_due(d, d->next);
			target = max_u64(d->next->due_ns, d->now_ns);
		}
		drill_advance(d, min_u64(target, deadline_ns), w, n);
		ready = bsd_any_ready(&d->bsd, w, n);
		if (ready || d->now_ns >= deadline_ns || !d->next)
			break;
		run_next(d);
		ready = bsd_any_ready(&d->bsd, w, n);
	}
	d->blocked = NULL;
	d->current = e;
	return ready && !d->failed;
}

/* ---- The run --------------------------------------------------------------------------------- */

bool drill_make(struct drill *d)
{
	struct tg_netif_config nc = {.name = "drill",
		.link = TG_LINK_IP,
		.mtu = d->o.mtu,
		.transmit = drill_transmit,
		.dev = d};
	struct tg_ip local = tg_ip4_of(d->o.local_ip), any = tg_ip4(0, 0, 0, 0);
	struct drill_pos top = {1, 1};
	int r;

	d->now_ns = d->base_ns = DRILL_START_NS;
	d->end_ns = DRILL_START_NS + DRILL_LIFE_NS;
	d->last_fd = -1;
	d->s = tg_create(&d->cfg, d->o.mem, d->o.mem_bytes, d->now_ns);
	if (!d->s)
		return drill_error(
			d, top, "no instance can be made of these settings and memory", "", 0);
	d->r->instance = d->s;
	if (d->o.note_rules && !tg_rules_note(d->s, true))
		return drill_error(d, top, "there is no memory to note rules", "", 0);
	r = tg_netif_add(d->s, &nc, d->now_ns);
	if (r < 0)
		return drill_error(d, top, "the interface cannot be made", "", 0);
	d->netif = (unsigned)r;
	if (tg_addr_add(d->s, d->netif, &local, d->o.prefix_len, d->now_ns) < 0 ||
		tg_route_add(d->s, &any, 0, NULL, d->netif, 0, d->now_ns) < 0)
		return drill_error(d, top, "the address or the route is refused", "", 0);
	bsd_init(&d->bsd, d->s, d->files, DRILL_FDS, 3);
	d->bsd.ctx = d;
	d->bsd.now = clock_now;
	d->bsd.wait = drill_wait;
	for (size_t i = 0; i < ARRAY_LEN(d->fd_map); i++)
		d->fd_map[i] = -1;
	return true;
}

bool drill_run(struct drill *d)
{
	const struct drill_event *last = d->first;

	d->next = d->first;
	d->current = d->first;
	drill_settle(d);
	while (d->next && !d->failed) {
		last = d->next;
		run_next(d);
	}
	return drill_nothing_left(d, last);
}

struct drill *drill_open(
	const struct tg_drill_options *o, const char *text, size_t n, struct tg_drill_result *r)
{
	struct drill *d = o->scratch;

	memset(r, 0, sizeof(*r));
	ASSERT(o->scratch_bytes >= TG_DRILL_SCRATCH_BYTES);
	_Static_assert(sizeof(*d) + sizeof(*d->fifo) * DRILL_PACKETS + (size_t)2 * 65536 <
			       TG_DRILL_SCRATCH_BYTES / 2,
		"the engine itself takes less than half of the scratch memory");
	memset(d, 0, sizeof(*d));
	d->o = *o;
	d->r = r;
	d->text = text;
	d->text_bytes = n;
	d->c = (struct cursor){text, text + n, text, 1};
	d->mem = (uint8_t *)o->scratch + (sizeof(*d) + 63) / 64 * 64;
	d->mem_end = (uint8_t *)o->scratch + o->scratch_bytes;
	d->tail = &d->first;
	d->printed = text_in(r->printed, sizeof(r->printed));
	tg_config_default(&d->cfg);
	/* what a script writes or sends in one go fits, and the window's scale is Linux's 7 */
	d->cfg.tcp.rcvbuf_bytes = d->cfg.tcp.sndbuf_bytes = 4u << 20;
	d->cfg.tcp.rcvbuf_max_bytes = d->cfg.tcp.sndbuf_max_bytes = 6u << 20;
	for (uint8_t i = 0; i < sizeof(d->cfg.seed); i++)
		d->cfg.seed[i] = i + 1;
	d->fifo = drill_alloc(d, sizeof(*d->fifo) * DRILL_PACKETS);
	d->frame = drill_alloc(d, 65536);
	d->payload = drill_alloc(d, 65536);
	d->bounce = drill_alloc(d, 65536);
	d->piece = drill_alloc(d, 65536);
	d->pieces = drill_alloc(d, sizeof(*d->pieces) * DRILL_PIECES);
	drill_parse(d);
	return d;
}

enum tg_drill_verdict tg_drill_run(
	const struct tg_drill_options *o, const char *text, size_t n, struct tg_drill_result *r)
{
	struct drill *d = drill_open(o, text, n, r);

	if (!d->failed && !d->o.dry_run && drill_make(d))
		drill_run(d);
	return r->verdict;
}
