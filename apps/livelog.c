/* The live log: which trace records are worth a line, and what the line says. Drops that are the
 * ordinary noise of a network (other stations' traffic, IPv6) show with -v only; everything is
 * counted anyway. */
#define _GNU_SOURCE 1
#include "livelog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_PER_SECOND         60u
#define LINES_PER_SECOND_VERBOSE 2000u
#define LINE_MAX_BYTES           512

enum hue { HUE_NONE, HUE_DIM = 2, HUE_RED = 31, HUE_GREEN = 32, HUE_YELLOW = 33, HUE_CYAN = 36 };

/* ---- Lines ----------------------------------------------------------------------------------- */

static void held_back_show(struct livelog *g)
{
	uint64_t n = g->held_back + g->out.lost_lines;
	char line[64], count[28];
	int len;

	if (n > 0) {
		len = snprintf(line, sizeof line, "        … %s more\n", format_count(n, count));
		g->out.lost_lines = 0;
		if (out_line(&g->out, line, (size_t)len)) {
			g->held_back = 0;
		}
	}
}

/* Starts a new second if it is time to. */
static void second_check(struct livelog *g, uint64_t now_ns)
{
	uint64_t second = now_ns / NS_PER_S;

	if (second != g->second) {
		held_back_show(g);
		g->second = second;
		g->lines = 0;
	}
}

bool livelog_wants(struct livelog *g, uint64_t now_ns)
{
	if (!g->on) {
		return false;
	}
	second_check(g, now_ns);
	if (g->lines >= g->lines_max) {
		g->held_back++;
		return false;
	}
	return true;
}

static void line_add(struct livelog *g, uint64_t now_ns, const char *topic, enum hue hue,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
static void line_add(struct livelog *g, uint64_t now_ns, const char *topic, enum hue hue,
	const char *format, ...)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64], on[12] = "";
	uint64_t ms = (now_ns - g->start_ns) / NS_PER_MS;
	va_list ap;
	int n;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	printable(text);
	if (g->color && hue != HUE_NONE) {
		snprintf(on, sizeof on, "\033[%dm", (int)hue);
	}
	n = snprintf(line, sizeof line, "%s%3llu.%03u  %-4s  %s%s\n", on,
		(unsigned long long)(ms / 1000), (unsigned)(ms % 1000), topic, text,
		on[0] != '\0' ? "\033[0m" : "");
	g->lines++;
	out_line(&g->out, line, (size_t)n);
}

static void peer_text(const struct tg_trace *t, char buf[24])
{
	struct tg_addr a = {.port = t->rport};

	memcpy(a.ip.b, t->raddr, 16);
	format_addr(&a, buf);
}

static void ip_text(const struct tg_trace *t, char buf[16])
{
	struct tg_ip ip;

	memcpy(ip.b, t->raddr, 16);
	tg_ip_format(&ip, buf);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* The bits of tg_trace.aux and tcp_flags, as tapglass_inspect.h's records carry them. */
static const char *const option_names[] = {"mss", "wscale", "sack", "sack blocks", "ts"};

static void options_text(uint32_t has, char *buf, size_t n)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < 5; i++) {
		if ((has & 1u << i) != 0 && at < n) {
			at += (size_t)snprintf(buf + at, n - at, ", %s", option_names[i]);
		}
	}
}

static void flags_text(uint8_t flags, char buf[9])
{
	static const char letter[] = "FSRPAUEC";
	char *o = buf;

	for (unsigned i = 0; i < 8; i++) {
		if ((flags & 1u << i) != 0) {
			*o++ = letter[i];
		}
	}
	*o = '\0';
}

/* Time from our SYN-ACK to its ACK, if that was the handshake; 0: unknown. */
static uint64_t handshake_rtt(struct livelog *g, const struct tg_trace *t)
{
	size_t slot = t->conn % LIVELOG_HANDSHAKES;

	if (t->b == TG_SYN_RECEIVED) {
		g->handshakes[slot].conn = t->conn;
		g->handshakes[slot].since_ns = t->time_ns;
	} else if (t->a == TG_SYN_RECEIVED && t->b == TG_ESTABLISHED && t->conn != 0 &&
		   g->handshakes[slot].conn == t->conn) {
		return t->time_ns - g->handshakes[slot].since_ns;
	}
	return 0;
}

static void state_line(struct livelog *g, const struct tg_trace *t)
{
	char peer[24], move[40], opts[64] = "", rtt[24] = "";
	uint64_t rtt_ns = handshake_rtt(g, t);
	enum hue hue = t->reason == TG_CAUSE_RST || t->reason == TG_CAUSE_RST_REFUSED ||
				       t->reason == TG_CAUSE_RETRIES_OUT
			       ? HUE_RED
		       : t->b == TG_ESTABLISHED ? HUE_GREEN
						: HUE_NONE;

	if (t->b == TG_LISTEN || (t->a == TG_LISTEN && t->b == TG_CLOSED)) {
		if (g->verbose > 0) {
			line_add(g, t->time_ns, "tcp", HUE_DIM, "port %u  %s", (unsigned)t->lport,
				tg_cause_text((enum tg_cause)t->reason));
		}
		return;
	}
	peer_text(t, peer);
	snprintf(move, sizeof move, "%s → %s", tg_state_name((enum tg_state)t->a),
		tg_state_name((enum tg_state)t->b));
	if (t->reason == TG_CAUSE_SYN && g->last_in.frame == t->frame) {
		options_text(g->last_in.aux, opts, sizeof opts);
	}
	if (rtt_ns != 0) {
		snprintf(rtt, sizeof rtt, "   rtt %.1f ms", (double)rtt_ns / 1e6);
	}
	line_add(g, t->time_ns, "tcp", hue, "%-21s  %-30s  %s%s%s", peer, move,
		tg_cause_text((enum tg_cause)t->reason), opts, rtt);
}

static void segment_line(struct livelog *g, const struct tg_trace *t)
{
	char peer[24], flags[9], opts[64];
	bool out = t->kind == TG_TRACE_SEGMENT_OUT;

	peer_text(t, peer);
	if (g->verbose > 0) {
		flags_text(t->tcp_flags, flags);
		options_text(t->aux, opts, sizeof opts);
		line_add(g, t->time_ns, "tcp", t->a == 1 ? HUE_YELLOW : HUE_DIM,
			"%-21s  %s :%u  [%s] seq %u ack %u len %u win %u%s%s", peer,
			out ? "←" : "→", (unsigned)t->lport, flags, t->seq, t->ack, t->len, t->wnd,
			opts,
			!out || t->a == 0 ? ""
			: t->a == 1       ? "  again"
					  : "  probe");
	} else {
		line_add(g, t->time_ns, "tcp", HUE_YELLOW, "%-21s  retransmission seq %u len %u",
			peer, t->seq, t->len);
	}
}

static void congestion_line(struct livelog *g, const struct tg_trace *t)
{
	static const char *const what[] = {"loss found: fast retransmit", "recovered",
		"timeout: start again", "idle: window restarted", "that was no loss: undone",
		"congestion told by ECN"};
	char peer[24];

	peer_text(t, peer);
	line_add(g, t->time_ns, "tcp", HUE_YELLOW, "%-21s  %s, cwnd %u ssthresh %u in flight %u",
		peer, t->a < sizeof what / sizeof what[0] ? what[t->a] : "?", t->seq, t->ack,
		t->len);
}

/* ---- The others ------------------------------------------------------------------------------ */

static void arp_line(struct livelog *g, const struct tg_trace *t)
{
	bool out = t->b == 1, reply = t->a == 2;
	char ip[16];

	ip_text(t, ip);
	if (out && reply) {
		line_add(g, t->time_ns, "arp", HUE_CYAN, "who-has %s → is-at %s", g->self, g->mac);
	} else if (out && strcmp(ip, g->self) == 0) {
		line_add(g, t->time_ns, "arp", HUE_CYAN, "announcing %s is-at %s", ip, g->mac);
	} else if (out) {
		line_add(g, t->time_ns, "arp", HUE_CYAN, "asking who-has %s", ip);
	} else if (g->verbose > 0 || reply) {
		line_add(g, t->time_ns, "arp", HUE_CYAN, "%s %s",
			reply ? "learned" : "heard who-has", ip);
	}
}

static const char *icmp_name(uint8_t type)
{
	switch (type) {
	case 0: return "echo reply";
	case 3: return "destination unreachable";
	case 8: return "echo request";
	case 11: return "time exceeded";
	case 12: return "parameter problem";
	default: return "message";
	}
}

static void icmp_line(struct livelog *g, const struct tg_trace *t)
{
	bool out = t->wnd == 1;
	char ip[16];

	ip_text(t, ip);
	if (t->a == 0 && out) {
		line_add(g, t->time_ns, "icmp", HUE_CYAN,
			"echo request seq=%u → reply  (ping from %s, %u bytes)", t->ack, ip,
			t->len);
	} else if (t->a != 8 || out || g->verbose > 0) {
		line_add(g, t->time_ns, "icmp", t->a == 0 || t->a == 8 ? HUE_CYAN : HUE_YELLOW,
			"%s type %u code %u %s %s", icmp_name(t->a), (unsigned)t->a, (unsigned)t->b,
			out ? "to" : "from", ip);
	}
}

/* The first datagram of a flow, or with -v each. */
static bool udp_news(struct livelog *g, const struct tg_trace *t)
{
	struct livelog_flow f = {.lport = t->lport, .rport = t->rport};
	uint32_t hash = (uint32_t)t->lport * 31 + t->rport;

	memcpy(f.raddr, t->raddr, 16);
	for (int i = 10; i < 16; i++) {
		hash = hash * 31 + f.raddr[i];
	}
	if (memcmp(&g->flows[hash % LIVELOG_FLOWS], &f, sizeof f) == 0) {
		return g->verbose > 0;
	}
	g->flows[hash % LIVELOG_FLOWS] = f;
	return true;
}

static void udp_line(struct livelog *g, const struct tg_trace *t)
{
	char peer[24], each[32] = "";

	peer_text(t, peer);
	if (t->aux)
		snprintf(each, sizeof(each), ", %u in each datagram", t->aux);
	line_add(g, t->time_ns, "udp", HUE_CYAN, "%-21s  %s :%u  %u bytes%s", peer,
		t->b == 1 ? "←" : "→", (unsigned)t->lport, t->len, each);
}

/* Drops that any network produces by itself. */
static bool is_noise(uint16_t reason)
{
	switch ((int)reason) {
	case TG_DROP_IP6_IGNORED:
	case TG_DROP_ETH_NOT_US:
	case TG_DROP_ETH_TYPE:
	case TG_DROP_ETH_LLC:
	case TG_DROP_ARP_NOT_US:
	case TG_DROP_IP_MULTICAST:
	case TG_DROP_IP_NOT_US:
	case TG_DROP_TCP_OLD:
	case TG_DROP_TCP_ACK_OLD: return true;
	default: return false;
	}
}

static void drop_line(struct livelog *g, const struct tg_trace *t)
{
	enum tg_drop d = (enum tg_drop)t->reason;
	const char *clause = tg_drop_clause(d);
	char peer[24];
	bool rfc = clause[0] >= '0' && clause[0] <= '9' && strncmp(clause, "802", 3) != 0;

	peer_text(t, peer);
	line_add(g, t->time_ns, "drop", HUE_RED, "%s%s%s%s%s%s", tg_drop_text(d),
		rfc ? " (RFC " : "", rfc ? clause : "", rfc ? ")" : "",
		t->rport != 0 ? " from " : "", t->rport != 0 ? peer : "");
}

static void detail_line(struct livelog *g, const struct tg_trace *t)
{
	static const char *const kinds[] = {"none", "segment in", "segment out", "state", "drop",
		"timer", "congestion", "call", "arp", "icmp", "udp", "reassembly", "neighbour",
		"impaired"};

	line_add(g, t->time_ns, "more", HUE_DIM, "%s conn %u a %u b %u seq %u ack %u len %u aux %u",
		t->kind < sizeof kinds / sizeof kinds[0] ? kinds[t->kind] : "?", t->conn,
		(unsigned)t->a, (unsigned)t->b, t->seq, t->ack, t->len, t->aux);
}

/* ---- Which ----------------------------------------------------------------------------------- */

static bool worth_a_line(struct livelog *g, const struct tg_trace *t)
{
	switch ((enum tg_trace_kind)t->kind) {
	case TG_TRACE_SEGMENT_IN: g->last_in = *t; return g->verbose > 0;
	case TG_TRACE_SEGMENT_OUT: return g->verbose > 0 || t->a == 1;
	case TG_TRACE_DROP: return g->verbose > 0 || !is_noise(t->reason);
	case TG_TRACE_STATE: return true;
	case TG_TRACE_CONGESTION: return g->verbose > 0 || t->a != TG_CONG_IDLE_RESTART;
	case TG_TRACE_ARP:
		return g->verbose > 0 ||
		       t->b == 1; /* the other side's requests only as far as we answer */
	case TG_TRACE_ICMP: return true;
	case TG_TRACE_UDP: return (t->b == 0 || g->verbose > 0) && udp_news(g, t);
	case TG_TRACE_TIMER:
	case TG_TRACE_CALL:
	case TG_TRACE_REASSEMBLY:
	case TG_TRACE_NEIGHBOUR:
	case TG_TRACE_IMPAIRED: return g->verbose > 1;
	case TG_TRACE_NONE: return false;
	}
	return false;
}

void livelog_trace(struct livelog *g, const struct tg_trace *t)
{
	if (!worth_a_line(g, t) || !livelog_wants(g, t->time_ns)) {
		return;
	}
	switch ((enum tg_trace_kind)t->kind) {
	case TG_TRACE_SEGMENT_IN:
	case TG_TRACE_SEGMENT_OUT: segment_line(g, t); break;
	case TG_TRACE_STATE: state_line(g, t); break;
	case TG_TRACE_DROP: drop_line(g, t); break;
	case TG_TRACE_CONGESTION: congestion_line(g, t); break;
	case TG_TRACE_ARP: arp_line(g, t); break;
	case TG_TRACE_ICMP: icmp_line(g, t); break;
	case TG_TRACE_UDP: udp_line(g, t); break;
	case TG_TRACE_TIMER:
	case TG_TRACE_CALL:
	case TG_TRACE_REASSEMBLY:
	case TG_TRACE_NEIGHBOUR:
	case TG_TRACE_IMPAIRED: detail_line(g, t); break;
	case TG_TRACE_NONE: break;
	}
}

/* Everything that has happened up to now. */
static void trace_read(struct livelog *g)
{
	struct tg_trace t;
	uint64_t lost = 0;

	while (g->on && tg_trace_next(g->s, &g->cursor, &t, &lost)) {
		livelog_trace(g, &t);
	}
	g->held_back += lost;
}

void livelog_http(struct livelog *g, const struct http_access *a, uint64_t now_ns)
{
	char size[16];
	int target = a->target_bytes < 120 ? (int)a->target_bytes : 120;

	trace_read(g); /* what led to the request comes before it */

	line_add(g, now_ns, "http", a->status >= 400 ? HUE_YELLOW : HUE_NONE, "%.*s %.*s%s → %d %s",
		(int)a->method_bytes < 16 ? (int)a->method_bytes : 16,
		a->method != NULL ? a->method : "", target, a->target != NULL ? a->target : "",
		a->target == NULL       ? "(unreadable)"
		: a->target_bytes > 120 ? "…"
					: "",
		a->status, format_bytes(a->length_bytes, size));
}

void livelog_text(struct livelog *g, const char *format, ...)
{
	char line[LINE_MAX_BYTES * 2];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line - 1, format, ap);
	va_end(ap);
	if (n > (int)sizeof line - 2) {
		n = (int)sizeof line - 2;
	}
	line[n] = '\n';
	out_line(&g->out, line, (size_t)n + 1);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static bool wants_color(const struct options *o, bool terminal)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (o->color != COLOR_AUTO) {
		return o->color == COLOR_ALWAYS;
	}
	return terminal && (no == NULL || no[0] == '\0') && term != NULL &&
	       strcmp(term, "dumb") != 0;
}

void livelog_open(struct livelog *g, const struct options *o, const struct tg *s,
	const struct tg_ip *self, const uint8_t mac[6], uint64_t now_ns)
{
	memset(g, 0, sizeof *g);
	g->s = s;
	out_open(&g->out, STDOUT_FILENO);
	g->on = !o->quiet;
	g->color = wants_color(o, g->out.terminal);
	g->verbose = o->verbose;
	g->lines_max = o->verbose > 0 ? LINES_PER_SECOND_VERBOSE : LINES_PER_SECOND;
	g->start_ns = now_ns;
	tg_ip_format(self, g->self);
	format_mac(mac, g->mac);
}

uint64_t livelog_round(struct livelog *g, uint64_t now_ns)
{
	trace_read(g);
	if (g->held_back > 0) {
		second_check(g, now_ns);
	}
	if (g->out.len_bytes > 0 && out_flush(&g->out)) {
		return now_ns + 50 * NS_PER_MS;
	}
	return g->held_back > 0 ? (g->second + 1) * NS_PER_S : UINT64_MAX;
}

void livelog_close(struct livelog *g)
{
	held_back_show(g);
	out_close(&g->out, 1000);
}
