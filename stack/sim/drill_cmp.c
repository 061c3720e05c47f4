/* The packet-script engine: flows, and whether an emitted packet is the one expected. A script's
 * numbers of what we send count from the sequence number of our first SYN, and from its timestamp;
 * those of the other side are as written. */
#include "sim/drill.h"

struct drill_flow *drill_flow(struct drill *d, uint16_t lport, uint16_t rport)
{
	struct drill_flow *f;

	for (uint32_t i = 0; i < d->n_flows; i++)
		if (d->flows[i].lport == lport && d->flows[i].rport == rport)
			return &d->flows[i];
	if (d->n_flows == DRILL_FLOWS)
		return NULL;
	f = &d->flows[d->n_flows++];
	*f = (struct drill_flow){.lport = lport, .rport = rport, .relearn = true};
	return f;
}

static const struct drill_flow *flow_find(const struct drill *d, uint16_t lport, uint16_t rport)
{
	for (uint32_t i = 0; i < d->n_flows; i++)
		if (d->flows[i].lport == lport && d->flows[i].rport == rport)
			return &d->flows[i];
	return NULL;
}

void drill_relative(const struct drill *d, struct drill_pkt *got)
{
	const struct drill_flow *f = flow_find(d, got->src_port, got->dst_port);

	if (got->proto == IP_PROTO_TCP && f) {
		got->g.seq.v -= f->local_off;
		for (uint32_t i = 0; i < got->n_opts; i++)
			if (got->opts[i].kind == TCP_KIND_TS && f->ts_learned)
				got->opts[i].v[0] -= f->ts_off;
	}
	if (f && f == &d->flows[d->cur_flow])
		got->src_port = got->dst_port = 0; /* understood */
}

/* The first SYN of a connection says where our numbers begin. */
static void learn(struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	struct drill_flow *f = drill_flow(d, got->src_port, got->dst_port);

	if (!f || !f->relearn || !(got->g.flags & want->g.flags & TCP_SYN))
		return;
	f->local_off = got->g.seq.v - want->g.seq.v;
	f->live_isn = got->g.seq.v;
	f->learned = true;
	f->relearn = false;
	f->ts_learned = false;
}

static void learn_ts(struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	struct drill_flow *f = drill_flow(d, got->src_port, got->dst_port);

	if (!f || f->ts_learned || want->n_opts != got->n_opts)
		return;
	for (uint32_t i = 0; i < got->n_opts; i++)
		if (got->opts[i].kind == TCP_KIND_TS && want->opts[i].kind == TCP_KIND_TS) {
			f->ts_off = got->opts[i].v[0] - want->opts[i].v[0];
			f->ts_learned = true;
		}
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool same_option(const struct drill *d, const struct tcp_item *a, const struct tcp_item *b)
{
	uint32_t slack = d->o.tolerance_us / 1000; /* timestamps tick every millisecond */

	if (a->kind != b->kind || a->len != b->len || a->n != b->n)
		return false;
	if (!a->n && memcmp(a->v, b->v, sizeof(a->v)) != 0)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->kind == TCP_KIND_TS && i == 0) {
			if (!d->o.ts_unchecked && a->v[0] - b->v[0] + slack > 2 * slack)
				return false;
		} else if (a->v[i] != b->v[i]) {
			return false;
		}
	return true;
}

static const char *compare_options(
	const struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	if (want->has & PKT_ANY_OPTS)
		return NULL;
	if (want->n_opts != got->n_opts)
		return "another packet than expected: TCP options";
	for (uint32_t i = 0; i < got->n_opts; i++)
		if (!same_option(d, &want->opts[i], &got->opts[i]))
			return "another packet than expected: TCP options";
	return NULL;
}

static const char *compare_tcp(
	const struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	if (want->g.flags != got->g.flags)
		return "another packet than expected: flags";
	if (!seq_eq(want->g.seq, got->g.seq))
		return "another packet than expected: sequence number";
	if (want->g.text_bytes != got->g.text_bytes)
		return "another packet than expected: length";
	if (want->g.flags & TCP_ACK && !seq_eq(want->g.ack, got->g.ack))
		return "another packet than expected: acknowledgment number";
	if (want->has & PKT_HAS_WIN && want->g.wnd != got->g.wnd)
		return "another packet than expected: window";
	if (want->g.flags & TCP_URG && want->g.up != got->g.up)
		return "another packet than expected: urgent pointer";
	return compare_options(d, want, got);
}

static const char *compare_icmp(const struct drill_pkt *want, const struct drill_pkt *got)
{
	if (want->icmp_type != got->icmp_type || want->icmp_code != got->icmp_code)
		return "another packet than expected: ICMP type or code";
	if (want->has & PKT_HAS_MTU && want->icmp_mtu != got->icmp_mtu)
		return "another packet than expected: MTU";
	if (want->has & PKT_HAS_ID && want->icmp_id != got->icmp_id)
		return "another packet than expected: identifier";
	if (want->has & PKT_RAW && want->g.text_bytes != got->g.text_bytes)
		return "another packet than expected: length";
	if (!(want->has & PKT_HAS_QUOTE))
		return NULL;
	if (want->quote_proto != got->quote_proto || want->quote_seq != got->quote_seq ||
		want->quote_bytes != got->quote_bytes)
		return "another packet than expected: the packet quoted";
	return NULL;
}

static const char *compare_ip(
	const struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	bool ect = got->ecn == 1 || got->ecn == 2;

	if (got->fault)
		return "the packet is wrong in itself";
	if (got->src != d->o.local_ip || got->dst != d->o.remote_ip)
		return "another packet than expected: addresses";
	if (want->proto != got->proto)
		return "another packet than expected: protocol";
	if (want->has & PKT_HAS_ECN && !(want->has & PKT_ECT01 ? ect : want->ecn == got->ecn))
		return "another packet than expected: ECN";
	if (want->has & PKT_HAS_TOS && want->tos != got->tos)
		return "another packet than expected: TOS";
	if (want->has & PKT_HAS_TTL && want->ttl != got->ttl)
		return "another packet than expected: TTL";
	return NULL;
}

/* Ports as said, or else those of the current flow. */
static const char *compare_ports(
	const struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	const struct drill_flow *f = &d->flows[d->cur_flow];
	uint16_t lport = want->src_port ? want->src_port : f->lport;
	uint16_t rport = want->dst_port ? want->dst_port : f->rport;

	if (got->proto == IP_PROTO_ICMP || (!want->src_port && !d->n_flows))
		return NULL;
	if (lport != got->src_port || rport != got->dst_port)
		return "another packet than expected: ports";
	return NULL;
}

static void show(struct drill *d, const struct drill_pkt *want, const struct drill_pkt *got)
{
	struct text t = text_in(d->r->wanted, sizeof(d->r->wanted));
	struct drill_pkt shown = *got;

	drill_print_pkt(&t, want);
	t = text_in(d->r->got, sizeof(d->r->got));
	/* Only what the line speaks of, so that the two can be laid side by side. */
	shown.has =
		(uint16_t)((shown.has & ~(PKT_HAS_WIN | PKT_HAS_ECN | PKT_HAS_TOS | PKT_HAS_TTL)) |
			   (want->has & (PKT_HAS_ECN | PKT_HAS_TOS | PKT_HAS_TTL | PKT_RAW)));
	if (want->has & PKT_HAS_WIN)
		shown.has |= PKT_HAS_WIN;
	drill_print_pkt(&t, &shown);
	text_add(&t, "   at %t", got->time_ns - DRILL_START_NS);
}

/* It has to come as the directive before its line says, or else whole. */
static bool compare_fragments(
	struct drill *d, const struct drill_event *e, const struct drill_pkt *got)
{
	const struct drill_range *want = d->cut ? d->cut->frags : NULL;
	const uint32_t n = d->cut ? d->cut->n_frags : 0;
	struct drill_range have[DRILL_FRAGS];
	bool same = n == got->n_frags;
	struct text t;

	for (uint32_t i = 0; i < got->n_frags && i < DRILL_FRAGS; i++)
		have[i] = d->pieces[(got->frag_at + i) % DRILL_PIECES];
	for (uint32_t i = 0; same && i < n; i++)
		same = want[i].from == have[i].from &&
		       (want[i].to == have[i].to || (want[i].to == UINT16_MAX && i + 1 == n));
	if (same)
		return true;
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	text_add(&t, n ? "fragments " : "one packet");
	drill_print_ranges(&t, want, n);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, got->n_frags ? "fragments " : "one packet");
	drill_print_ranges(&t, have, got->n_frags);
	return drill_fail(d, e, "another packet than expected: fragments");
}

bool drill_compare(struct drill *d, const struct drill_event *e, const struct drill_pkt *got)
{
	const struct drill_pkt *want = e->pkt;
	const char *why = compare_ip(d, want, got);
	struct drill_pkt rel = *got;

	if (!why)
		why = compare_ports(d, want, got);
	if (!why && got->proto == IP_PROTO_TCP) {
		learn(d, want, got);
		learn_ts(d, want, got);
	}
	drill_relative(d, &rel);
	if (!why && got->proto == IP_PROTO_TCP)
		why = compare_tcp(d, want, &rel);
	else if (!why && got->proto == IP_PROTO_UDP && want->g.text_bytes != got->g.text_bytes)
		why = "another packet than expected: length";
	else if (!why && got->proto == IP_PROTO_ICMP)
		why = compare_icmp(want, got);
	if (!why)
		return compare_fragments(d, e, got);
	show(d, want, &rel);
	return drill_fail(d, e, why);
}
