/* The packet-script engine: directives, comments to packetdrill and questions or orders to us.
 *
 *   //@ state FD STATE     state of the connection behind FD; * for FD: of the current flow's, with
 * or without a descriptor (half-open, closed by its user, TIME-WAIT), CLOSED when there is none
 *   //@ drop REASON        the packet injected last was dropped, for this reason; none: was not
 *   //@ count NAME N       a counter, or how many packets were dropped for that reason
 *   //@ status FD FIELD N  a field of STATUS (struct tg_tcp_info)
 *   //@ timer FD NAME TIME a timer of the connection behind FD expires that long from now; off: it
 *                          is not running. The names are those of the trace
 *   //@ quiet TIME         nothing is sent for so long
 *   //@ next WHAT ...      of the next injected packet: options HH HH ..., offset WORDS, checksum,
 *                          src A.B.C.D, dst A.B.C.D; of the next packet either way: fragments
 *                          FROM-TO ... */
#include "sim/drill.h"

#include "core/core.h"
#include "tcp/tcp.h"

static const char *const state_names[] = {
#define X(name, text) text,
	TG_STATE_LIST(X)
#undef X
};

struct field {
	const char *name;
	uint32_t offset;
	uint8_t bytes;
};

/* By enum tg_timer. */
static const char *const timer_names[] = {[TG_TIMER_REXMIT] = "rexmit",
	[TG_TIMER_PERSIST] = "persist",
	[TG_TIMER_DELACK] = "delack",
	[TG_TIMER_KEEPALIVE] = "keepalive",
	[TG_TIMER_STATE] = "state",
	[TG_TIMER_LOSS_PROBE] = "probe",
	[TG_TIMER_REORDERING] = "reordering"};

static const struct field counters[] = {
#define X(name) {#name, offsetof(struct tg_counters, name), 8},
	TG_COUNTER_LIST(X)
#undef X
};

#define INFO(name)                                                                                 \
	{                                                                                          \
#name, offsetof(struct tg_tcp_info, name), sizeof(((struct tg_tcp_info *)0)->name) \
	}
static const struct field infos[] = {INFO(state), INFO(rcv_wscale), INFO(snd_wscale), INFO(ts),
	INFO(sack), INFO(wscale), INFO(in_recovery), INFO(in_loss), INFO(in_cwr), INFO(ecn),
	INFO(ecn_seen), INFO(backoff), INFO(probes), INFO(snd_wnd), INFO(rcv_wnd), INFO(mss_snd),
	INFO(mss_rcv), INFO(pmtu), INFO(cwnd_bytes), INFO(waits), INFO(ssthresh_bytes),
	INFO(flight_bytes), INFO(rto_ns), INFO(srtt_ns), INFO(rttvar_ns), INFO(min_rtt_ns),
	INFO(unsent_bytes), INFO(unacked_bytes), INFO(unread_bytes), INFO(sacked_bytes),
	INFO(lost_bytes), INFO(retrans_bytes), INFO(bytes_sent), INFO(bytes_acked),
	INFO(bytes_received), INFO(bytes_retrans), INFO(segs_out), INFO(segs_in), INFO(retransmits),
	INFO(dsack_dups), INFO(disorder), INFO(sacked_segs), INFO(reordering_segs),
	INFO(reord_seen), INFO(reo_wnd_mult), INFO(probing), INFO(pacing_rate),
	INFO(max_pacing_rate), INFO(cc)};

static const struct field *field_find(
	const struct field *f, size_t n, const char *w, uint32_t bytes)
{
	for (size_t i = 0; i < n; i++)
		if (word_is(w, bytes, f[i].name))
			return &f[i];
	return NULL;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool parse_fd(struct drill *d, struct drill_check *k, bool any)
{
	uint64_t v;

	cur_blanks(&d->c);
	if (any && cur_take(&d->c, "*")) {
		k->fd = -1;
		return true;
	}
	if (!cur_uint(&d->c, 255, &v))
		return drill_error_at(d, "a descriptor is expected here");
	k->fd = (int)v;
	return true;
}

/* Up to the next blank: state names have a '-' in them. */
static uint32_t blank_word(struct drill *d, const char **w)
{
	cur_blanks(&d->c);
	*w = d->c.at;
	while (cur_peek(&d->c) > ' ')
		cur_next(&d->c);
	return (uint32_t)(d->c.at - *w);
}

static bool parse_state(struct drill *d, struct drill_check *k)
{
	struct drill_pos pos;
	const char *w;
	uint32_t n;

	k->kind = CHECK_STATE;
	if (!parse_fd(d, k, true))
		return false;
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	n = blank_word(d, &w);
	for (uint32_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (word_is(w, n, state_names[i])) {
			k->value = i;
			return true;
		}
	return drill_error(d, pos, "unknown state '%S'", w, n);
}

static bool find_drop(const char *w, uint32_t n, uint32_t *out)
{
	for (uint32_t i = 0; i < TG_DROP_COUNT; i++)
		if (word_is(w, n, tg_drop_name((enum tg_drop)i))) {
			*out = i;
			return true;
		}
	return false;
}

static bool parse_drop(struct drill *d, struct drill_check *k)
{
	struct drill_pos pos = cur_pos(&d->c);
	uint32_t reason;

	k->kind = CHECK_DROP;
	k->name_bytes = cur_word(&d->c, &k->name);
	if (!find_drop(k->name, k->name_bytes, &reason))
		return drill_error(d, pos, "unknown drop reason '%S'", k->name, k->name_bytes);
	k->value = reason;
	return true;
}

static bool parse_value(struct drill *d, struct drill_check *k)
{
	cur_blanks(&d->c);
	if (cur_quantity(&d->c, &k->value))
		return true;
	return drill_error_at(d, "a value is expected here");
}

static bool parse_count(struct drill *d, struct drill_check *k)
{
	struct drill_pos pos = cur_pos(&d->c);
	const struct field *f;
	uint32_t reason;

	k->kind = CHECK_COUNT;
	k->size = 8;
	k->name_bytes = cur_word(&d->c, &k->name);
	f = field_find(counters, ARRAY_LEN(counters), k->name, k->name_bytes);
	if (f)
		k->offset = f->offset;
	else if (find_drop(k->name, k->name_bytes, &reason))
		k->offset =
			(uint32_t)(offsetof(struct tg_counters, drops) + sizeof(uint64_t) * reason);
	else
		return drill_error(d, pos, "unknown counter '%S'", k->name, k->name_bytes);
	return parse_value(d, k);
}

static bool parse_status(struct drill *d, struct drill_check *k)
{
	const struct field *f;
	struct drill_pos pos;

	k->kind = CHECK_STATUS;
	if (!parse_fd(d, k, false))
		return false;
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	k->name_bytes = cur_word(&d->c, &k->name);
	f = field_find(infos, ARRAY_LEN(infos), k->name, k->name_bytes);
	if (!f)
		return drill_error(d, pos, "unknown field '%S'", k->name, k->name_bytes);
	k->offset = f->offset;
	k->size = f->bytes;
	return parse_value(d, k);
}

static bool parse_timer(struct drill *d, struct drill_check *k)
{
	struct drill_pos pos;

	k->kind = CHECK_TIMER;
	if (!parse_fd(d, k, false))
		return false;
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	k->name_bytes = cur_word(&d->c, &k->name);
	for (k->offset = 0; k->offset < ARRAY_LEN(timer_names); k->offset++)
		if (timer_names[k->offset] &&
			word_is(k->name, k->name_bytes, timer_names[k->offset]))
			break;
	if (k->offset == ARRAY_LEN(timer_names))
		return drill_error(d, pos,
			"'%S' is none of rexmit, persist, delack, keepalive, state", k->name,
			k->name_bytes);
	cur_blanks(&d->c);
	if (cur_take_word(&d->c, "off")) {
		k->value = NEVER_NS;
		return true;
	}
	return parse_value(d, k);
}

static int hex_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return -1;
}

static bool parse_bytes(struct drill *d, struct drill_check *k)
{
	for (;;) {
		int high, low;

		cur_blanks(&d->c);
		high = hex_value(cur_peek(&d->c));
		if (high < 0)
			return k->n_bytes
				       ? true
				       : drill_error_at(d, "bytes such as 01 1e are expected here");
		cur_next(&d->c);
		low = hex_value(cur_peek(&d->c));
		if (low < 0 || k->n_bytes == sizeof(k->bytes))
			return drill_error_at(d, "two hexadecimal digits a byte, at most 40 bytes");
		cur_next(&d->c);
		k->bytes[k->n_bytes++] = (uint8_t)(high << 4 | low);
	}
}

static bool parse_ip(struct drill *d, struct drill_check *k)
{
	struct drill_pos pos;
	struct tg_ip ip;
	const char *w;
	char buf[20];
	uint32_t n;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	n = blank_word(d, &w);
	if (n < sizeof(buf)) {
		memcpy(buf, w, n);
		buf[n] = 0;
		if (tg_ip_parse(buf, &ip)) {
			k->value = tg_ip4_value(&ip);
			return true;
		}
	}
	return drill_error(d, pos, "an IPv4 address is expected here", "", 0);
}

static bool parse_next(struct drill *d, struct drill_check *k)
{
	k->kind = CHECK_NEXT;
	k->pos = cur_pos(&d->c);
	if (cur_take_word(&d->c, "fragments")) {
		k->next = NEXT_FRAGMENTS;
		cur_blanks(&d->c);
		return drill_parse_ranges(d, k);
	}
	if (cur_take_word(&d->c, "options")) {
		k->next = NEXT_OPTIONS;
		return parse_bytes(d, k);
	}
	if (cur_take_word(&d->c, "offset")) {
		k->next = NEXT_OFFSET;
		cur_blanks(&d->c);
		return cur_uint(&d->c, 15, &k->value) && k->value
			       ? true
			       : drill_error_at(d, "1 to 15 words are expected here");
	}
	if (cur_take_word(&d->c, "checksum")) {
		k->next = NEXT_CSUM;
		return true;
	}
	if (cur_take_word(&d->c, "src")) {
		k->next = NEXT_SRC;
		return parse_ip(d, k);
	}
	if (cur_take_word(&d->c, "dst")) {
		k->next = NEXT_DST;
		return parse_ip(d, k);
	}
	return drill_error_at(d, "expected options, offset, checksum, fragments, src or dst");
}

bool drill_parse_check(struct drill *d, const char *w, uint32_t n, struct drill_check *k)
{
	if (word_is(w, n, "state"))
		return parse_state(d, k);
	if (word_is(w, n, "drop"))
		return parse_drop(d, k);
	if (word_is(w, n, "count"))
		return parse_count(d, k);
	if (word_is(w, n, "status"))
		return parse_status(d, k);
	if (word_is(w, n, "timer"))
		return parse_timer(d, k);
	if (word_is(w, n, "next"))
		return parse_next(d, k);
	if (word_is(w, n, "quiet")) {
		k->kind = CHECK_QUIET;
		return parse_value(d, k);
	}
	return drill_error(d, (struct drill_pos){d->c.line, (uint32_t)(w - d->c.line_start) + 1},
		"unknown directive '%S'", w, n);
}

/* ---- Running --------------------------------------------------------------------------------- */

static bool differs(struct drill *d, const struct drill_event *e, const char *want, const char *got,
	const char *why)
{
	struct text t = text_in(d->r->wanted, sizeof(d->r->wanted));

	text_add(&t, "%s", want);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, "%s", got);
	return drill_fail(d, e, why);
}

/* State of whatever has the ports of the current flow. A socket whose connection is gone may have
 * them as well as its successor. */
static unsigned flow_state(const struct drill *d)
{
	const struct drill_flow *f = &d->flows[d->cur_flow];
	struct tg_sock_row row;
	uint64_t cursor = 0;

	while (tg_table_socks(d->s, &cursor, &row))
		if (row.type == TG_STREAM && row.state != TG_CLOSED && row.local.port == f->lport &&
			row.peer.port == f->rport)
			return row.state;
	return TG_CLOSED;
}

static bool run_state(struct drill *d, const struct drill_event *e)
{
	const struct drill_check *k = e->check;
	struct tg_tcp_info info = {0};
	unsigned got;

	if (k->fd < 0) {
		got = flow_state(d);
	} else {
		if (tg_tcp_status(d->s, bsd_sock(&d->bsd, drill_fd(d, k->fd)), &info) < 0)
			return drill_fail(d, e, "no connection is behind this descriptor");
		got = info.state;
	}
	if (got == k->value)
		return true;
	return differs(d, e, state_names[k->value], got < TG_STATE_COUNT ? state_names[got] : "?",
		"another state than expected");
}

static bool run_drop(struct drill *d, const struct drill_event *e)
{
	const uint64_t *now = tg_counters(d->s)->drops;
	uint32_t got = 0;

	for (uint32_t i = 0; i < TG_DROP_COUNT; i++)
		if (now[i] != d->drops[i])
			got = i;
	if (got == e->check->value)
		return true;
	return differs(d, e, tg_drop_name((enum tg_drop)e->check->value),
		tg_drop_name((enum tg_drop)got), "the packet injected last fared otherwise");
}

static uint64_t field_value(const void *base, const struct drill_check *k)
{
	const uint8_t *at = (const uint8_t *)base + k->offset;
	uint64_t v = 0;
	uint32_t v32;

	if (k->size == 8)
		memcpy(&v, at, 8);
	if (k->size == 4) {
		memcpy(&v32, at, 4);
		v = v32;
	}
	return k->size == 1 ? *at : v;
}

static bool run_value(struct drill *d, const struct drill_event *e)
{
	const struct drill_check *k = e->check;
	struct tg_tcp_info info = {0};
	struct text t;
	uint64_t got;

	if (k->kind == CHECK_STATUS) {
		if (tg_tcp_status(d->s, bsd_sock(&d->bsd, drill_fd(d, k->fd)), &info) < 0)
			return drill_fail(d, e, "no connection is behind this descriptor");
		got = field_value(&info, k);
	} else {
		got = field_value(tg_counters(d->s), k);
	}
	if (got == k->value)
		return true;
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	text_add(&t, "%S %d", k->name, k->name_bytes, (int64_t)k->value);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, "%S %d", k->name, k->name_bytes, (int64_t)got);
	return drill_fail(d, e, "another value than expected");
}

static bool run_timer(struct drill *d, const struct drill_event *e)
{
	const struct drill_check *k = e->check;
	const struct endpoint *ep = handle_find(d->s, bsd_sock(&d->bsd, drill_fd(d, k->fd)));
	uint64_t slack = d->o.tolerance_us * NS_PER_US, left = NEVER_NS, at;
	struct text t;

	if (!ep || ep->type != TG_STREAM)
		return drill_fail(d, e, "no connection is behind this descriptor");
	at = tcp_timer_deadline_ns((const struct tcp_conn *)ep, (enum tg_timer)k->offset);
	if (at != NEVER_NS)
		left = at > d->now_ns ? at - d->now_ns : 0;
	if (left == k->value || (left != NEVER_NS && k->value != NEVER_NS &&
					left + slack >= k->value && left <= k->value + slack))
		return true;
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	text_add(&t, k->value == NEVER_NS ? "%s off" : "%s in %t s", timer_names[k->offset],
		k->value);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, left == NEVER_NS ? "%s off" : "%s in %t s", timer_names[k->offset], left);
	return drill_fail(d, e, "another state of a timer than expected");
}

/* An order for the next packet. */
static bool run_next(struct drill *d, const struct drill_event *e)
{
	if (e->check->next == NEXT_FRAGMENTS) {
		d->cut = e->check;
		return true;
	}
	if (d->n_tamper == ARRAY_LEN(d->tamper))
		return drill_error(d, e->pos, "too many orders for one packet", "", 0);
	d->tamper[d->n_tamper++] = e->check;
	return true;
}

bool drill_run_check(struct drill *d, const struct drill_event *e)
{
	switch ((enum check_kind)e->check->kind) {
	case CHECK_STATE: return run_state(d, e);
	case CHECK_DROP: return run_drop(d, e);
	case CHECK_COUNT:
	case CHECK_STATUS: return run_value(d, e);
	case CHECK_QUIET:
		return drill_advance(d, d->now_ns + e->check->value, NULL, 0) &&
		       drill_nothing_left(d, e);
	case CHECK_TIMER: return run_timer(d, e);
	case CHECK_NEXT: return run_next(d, e);
	}
	return true;
}
