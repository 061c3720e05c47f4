/* The events of the stack as text. Names and fields follow qlog's custom: lower case, the layer in
 * front. Written with snprintf into the caller's buffer: a segment takes 0.56 us that way and 1.6
 * us by way of json-c's objects, which matters in a log of every segment. All texts that occur are
 * the library's own constants and addresses: nothing has to be escaped. */
#include "event_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct out {
	char *buf;
	size_t n;
};

static void put(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *o, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(o->buf + o->n, EVENT_JSON_BYTES - o->n, format, ap);
	va_end(ap);
	o->n += (size_t)n;
	if (o->n >= EVENT_JSON_BYTES) {
		o->n = EVENT_JSON_BYTES - 1;
	}
}

static void begin(struct out *o, const struct tg_trace *t, uint64_t start_ns, const char *layer,
	const char *event)
{
	uint64_t ns = t->time_ns > start_ns ? t->time_ns - start_ns : 0;

	put(o, "{\"time\":%llu.%06u,\"name\":\"%s:%s\",\"data\":{",
		(unsigned long long)(ns / 1000000), (unsigned)(ns % 1000000), layer, event);
}

static void put_address(struct out *o, const char *name, const struct tg_trace *t)
{
	struct tg_ip ip;
	char text[16];

	memcpy(ip.b, t->raddr, 16);
	put(o, "\"%s\":\"%s\"", name, tg_ip_format(&ip, text));
}

/* Which connection: its serial number, and where it goes. */
static void put_conn(struct out *o, const struct tg_trace *t)
{
	put(o, "\"conn\":%u,\"port\":%u,", t->conn, (unsigned)t->lport);
	put_address(o, "peer", t);
	put(o, ",\"peer_port\":%u", (unsigned)t->rport);
}

/* The clause of what the trace names by number only; none: the number is not known here. */
static void put_clause(struct out *o, const char *clause)
{
	if (clause != NULL) {
		put(o, ",\"clause\":\"%s\"", clause);
	}
}

static void put_names(
	struct out *o, const char *field, uint32_t bits, const char *const *names, unsigned n)
{
	const char *comma = "";

	put(o, ",\"%s\":[", field);
	for (unsigned i = 0; i < n; i++) {
		if ((bits & 1u << i) != 0) {
			put(o, "%s\"%s\"", comma, names[i]);
			comma = ",";
		}
	}
	put(o, "]");
}

static const char *of(const char *const *names, size_t n, unsigned i)
{
	return i < n ? names[i] : "?";
}
#define OF(names, i) of(names, sizeof(names) / sizeof((names)[0]), i)

/* A name and the clause that asks for it. */
struct ruled {
	const char *name, *clause;
};

static struct ruled ruled_of(const struct ruled *list, size_t n, unsigned i)
{
	return i < n && list[i].name != NULL ? list[i] : (struct ruled){"other", NULL};
}
#define RULED_OF(list, i) ruled_of(list, sizeof(list) / sizeof((list)[0]), i)

/* ---- TCP ------------------------------------------------------------------------------------- */

static void put_segment(struct out *o, const struct tg_trace *t)
{
	static const char *const flags[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};
	static const char *const opts[] = {
		"mss", "window_scale", "sack_permitted", "sack", "timestamps"};

	put_conn(o, t);
	put(o, ",\"seq\":%u,\"ack\":%u,\"len\":%u,\"wnd\":%u", t->seq, t->ack, t->len, t->wnd);
	put_names(o, "flags", t->tcp_flags, flags, 8);
	if (t->kind != TG_TRACE_DROP) {
		put_names(o, "opts", t->aux, opts, 5);
	}
	if (t->frame != 0) {
		put(o, ",\"frame\":%u", t->frame);
	}
}

static void segment(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	bool sent = t->kind == TG_TRACE_SEGMENT_OUT;

	begin(o, t, start_ns, "tcp", sent ? "segment_sent" : "segment_received");
	put_segment(o, t);
	if (sent && t->a != 0) {
		put(o, ",\"again\":\"%s\"", t->a == 1 ? "retransmission" : "probe");
	}
}

static void state(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	enum tg_cause cause = (enum tg_cause)t->reason;

	begin(o, t, start_ns, "tcp", "state_changed");
	put_conn(o, t);
	put(o, ",\"old\":\"%s\",\"new\":\"%s\",\"trigger\":\"%s\",\"clause\":\"%s\"",
		tg_state_name((enum tg_state)t->a), tg_state_name((enum tg_state)t->b),
		tg_cause_text(cause), tg_cause_clause(cause));
}

static void timer(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const struct ruled timers[] = {
		[TG_TIMER_REXMIT] = {"rexmit", "6298 5.4"},
		[TG_TIMER_PERSIST] = {"persist", "9293 3.8.6.1"},
		[TG_TIMER_DELACK] = {"delack", "9293 3.8.6.3"},
		[TG_TIMER_KEEPALIVE] = {"keepalive", "9293 3.8.4"},
		[TG_TIMER_STATE] = {"state", "9293 3.10.8"},
		[TG_TIMER_USER] = {"user", "9293 3.10.8"},
		[TG_TIMER_LOSS_PROBE] = {"tlp", "8985 7.3"},
		[TG_TIMER_REORDERING] = {"rack", "8985 6.3"},
	};
	static const char *const events[] = {"timer_set", "timer_fired", "timer_stopped"};
	struct ruled r = RULED_OF(timers, t->a);

	begin(o, t, start_ns, "tcp", t->b < 3 ? events[t->b] : "timer_fired");
	put_conn(o, t);
	put(o, ",\"timer\":\"%s\",\"rto_ms\":%u.%03u,\"backoff\":%u", r.name, t->aux / 1000,
		t->aux % 1000, t->len);
	put_clause(o, r.clause);
}

static void congestion(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const struct ruled whys[] = {
		[TG_CONG_FAST_RETRANSMIT] = {"dupack", "5681 3.2"},
		[TG_CONG_RECOVERED] = {"recovered", "5681 3.2"},
		[TG_CONG_RTO] = {"rto", "5681 3.1"},
		[TG_CONG_IDLE_RESTART] = {"idle_restart", "5681 4.1"},
		[TG_CONG_UNDO] = {"undo", NULL},
		[TG_CONG_ECN] = {"ecn", "3168 6.1.2"},
	};
	bool loss = t->a == TG_CONG_FAST_RETRANSMIT || t->a == TG_CONG_RTO;
	struct ruled r = RULED_OF(whys, t->a);

	if (t->a == TG_CONG_FAST_RETRANSMIT && t->b != 0) {
		r = (struct ruled){"rack", "8985 6.2"};
	}

	begin(o, t, start_ns, "tcp", loss ? "loss_detected" : "metrics_updated");
	put_conn(o, t);
	put(o, ",\"%s\":\"%s\",\"cwnd\":%u,\"ssthresh\":%u,\"inflight\":%u", loss ? "how" : "why",
		r.name, t->seq, t->ack, t->len);
	put_clause(o, r.clause);
}

static void call(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const struct ruled calls[] = {
		[TG_CALL_OPEN] = {"open", "9293 3.10.1"},
		[TG_CALL_SEND] = {"send", "9293 3.10.2"},
		[TG_CALL_RECEIVE] = {"receive", "9293 3.10.3"},
		[TG_CALL_SHUTDOWN] = {"shutdown", "9293 3.10.4"},
		[TG_CALL_CLOSE] = {"close", "9293 3.10.4"},
		[TG_CALL_ABORT] = {"abort", "9293 3.10.5"},
	};
	struct ruled r = RULED_OF(calls, t->a);
	bool tcp = t->b != TG_DGRAM && t->b != TG_RAW;

	begin(o, t, start_ns, tcp ? "tcp" : t->b == TG_DGRAM ? "udp" : "raw", "call");
	put_conn(o, t);
	put(o, ",\"fn\":\"%s\",\"len\":%u,\"result\":%d", r.name, t->len, (int)t->aux);
	put_clause(o, tcp ? r.clause : NULL);
}

/* ---- The others ------------------------------------------------------------------------------ */

/* The layer is the first word of the reason's name. */
static void drop(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const char *const layers[] = {"eth", "arp", "ip", "icmp", "udp", "raw"};
	enum tg_drop d = (enum tg_drop)t->reason;
	const char *name = tg_drop_name(d), *layer = "link";

	if (strncmp(name, "tcp_", 4) == 0) {
		begin(o, t, start_ns, "tcp", "segment_dropped");
		put_segment(o, t);
	} else {
		for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
			size_t n = strlen(layers[i]);

			layer = strncmp(name, layers[i], n) == 0 && name[n] == '_' ? layers[i]
										   : layer;
		}
		begin(o, t, start_ns, layer, "dropped");
		put_address(o, "peer", t);
		put(o, ",\"len\":%u,\"frame\":%u", t->len, t->frame);
	}
	put(o, ",\"cause\":\"%s\",\"text\":\"%s\",\"clause\":\"%s\"", name, tg_drop_text(d),
		tg_drop_clause(d));
}

static void arp(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	begin(o, t, start_ns, "arp", t->b == 1 ? "message_sent" : "message_received");
	put(o, "\"op\":\"%s\",", t->a == 2 ? "reply" : "request");
	put_address(o, "address", t);
}

static void neighbour(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const char *const names[] = {
		"FREE", "INCOMPLETE", "REACHABLE", "STALE", "PROBE", "FAILED"};

	begin(o, t, start_ns, "arp", "entry_changed");
	put_address(o, "address", t);
	put(o, ",\"old\":\"%s\",\"new\":\"%s\"", OF(names, t->a), OF(names, t->b));
}

static void icmp(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	begin(o, t, start_ns, "icmp", t->wnd == 1 ? "message_sent" : "message_received");
	put_address(o, "peer", t);
	put(o, ",\"type\":%u,\"code\":%u,\"id\":%u,\"seq\":%u,\"len\":%u", (unsigned)t->a,
		(unsigned)t->b, t->seq, t->ack, t->len);
}

static void udp(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	begin(o, t, start_ns, "udp", t->b == 1 ? "datagram_sent" : "datagram_received");
	put(o, "\"port\":%u,", (unsigned)t->lport);
	put_address(o, "peer", t);
	put(o, ",\"peer_port\":%u,\"len\":%u", (unsigned)t->rport, t->len);
	if (t->aux)
		put(o, ",\"segment\":%u", t->aux);
}

static void reassembly(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const char *const names[] = {
		"reassembly_fragment", "reassembly_completed", "reassembly_timed_out"};

	begin(o, t, start_ns, "ip", t->a < 3 ? names[t->a] : "reassembly_other");
	put_address(o, "peer", t);
	put(o, ",\"id\":%u,\"len\":%u", t->seq, t->len);
}

static void impaired(struct out *o, const struct tg_trace *t, uint64_t start_ns)
{
	static const char *const names[] = {"drop", "dup", "reorder", "corrupt", "queue"};

	begin(o, t, start_ns, "link", "impaired");
	put(o, "\"what\":\"%s\",\"direction\":\"%s\",\"frame\":%u", OF(names, t->a),
		t->b == 1 ? "out" : "in", t->frame);
}

size_t event_json(const struct tg_trace *t, uint64_t start_ns, char buf[EVENT_JSON_BYTES])
{
	struct out o = {buf, 0};

	buf[0] = '\0';
	switch ((enum tg_trace_kind)t->kind) {
	case TG_TRACE_SEGMENT_IN:
	case TG_TRACE_SEGMENT_OUT: segment(&o, t, start_ns); break;
	case TG_TRACE_STATE: state(&o, t, start_ns); break;
	case TG_TRACE_DROP: drop(&o, t, start_ns); break;
	case TG_TRACE_TIMER: timer(&o, t, start_ns); break;
	case TG_TRACE_CONGESTION: congestion(&o, t, start_ns); break;
	case TG_TRACE_CALL: call(&o, t, start_ns); break;
	case TG_TRACE_ARP: arp(&o, t, start_ns); break;
	case TG_TRACE_ICMP: icmp(&o, t, start_ns); break;
	case TG_TRACE_UDP: udp(&o, t, start_ns); break;
	case TG_TRACE_REASSEMBLY: reassembly(&o, t, start_ns); break;
	case TG_TRACE_NEIGHBOUR: neighbour(&o, t, start_ns); break;
	case TG_TRACE_IMPAIRED: impaired(&o, t, start_ns); break;
	case TG_TRACE_NONE: return 0;
	}
	put(&o, "}}");
	return o.n;
}

size_t event_json_gap(uint64_t n, uint64_t time_ns, uint64_t start_ns, char buf[EVENT_JSON_BYTES])
{
	struct tg_trace t = {.time_ns = time_ns};
	struct out o = {buf, 0};

	begin(&o, &t, start_ns, "log", "gap");
	put(&o, "\"n\":%llu}}", (unsigned long long)n);
	return o.n;
}

size_t event_json_calls(
	const struct tg_trace *t, uint32_t calls, uint64_t start_ns, char buf[EVENT_JSON_BYTES])
{
	struct out o = {buf, 0};

	call(&o, t, start_ns);
	put(&o, ",\"calls\":%u}}", calls);
	return o.n;
}

size_t event_json_metrics(const struct tg_trace *t, const uint32_t v[EVENT_METRIC_COUNT],
	const uint32_t *old, uint64_t start_ns, char buf[EVENT_JSON_BYTES])
{
	static const struct {
		const char *name;
		bool is_time;
	} metrics[] = {
#define X(name, is_time) {#name, is_time},
		EVENT_METRICS(X)
#undef X
	};
	struct out o = {buf, 0};
	bool any = false;

	begin(&o, t, start_ns, "tcp", "metrics_updated");
	put_conn(&o, t);
	for (unsigned i = 0; i < EVENT_METRIC_COUNT; i++) {
		if (old != NULL && old[i] == v[i]) {
			continue;
		}
		any = true;
		if (metrics[i].is_time) {
			put(&o, ",\"%s\":%u.%03u", metrics[i].name, v[i] / 1000, v[i] % 1000);
		} else {
			put(&o, ",\"%s\":%u", metrics[i].name, v[i]);
		}
	}
	put(&o, "}}");
	return any ? o.n : 0;
}
