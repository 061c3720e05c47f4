/* The network simulator's flows: a connection each, bytes one way, written as fast as the socket
 * takes them or in chunks at times, read at once. What is written has no content: only headers
 * travel. */
#include "sim/net.h"

/* Cookies of events: flow and end. */
enum { END_SENDER, END_RECEIVER, END_LISTENER };

static uint64_t cookie_of(const struct net *n, const struct net_flow *f, unsigned end)
{
	return (uint64_t)(f - n->flow) << 2 | end;
}

static void fail(struct net_flow *f, struct net *n, int error)
{
	f->out->error = error;
	f->out->end_ns = n->now_ns;
	f->done = true;
}

bool net_flows_start(struct net *n)
{
	for (uint32_t i = 0; i < n->n_flows; i++) {
		struct net_flow *f = &n->flow[i];
		struct tg *s = n->node[f->to].s;
		struct tg_addr a = {
			.ip = n->node[f->to].ip, .port = (uint16_t)(NET_PORT_FIRST + i)};

		f->next_ns = f->start_ns;
		if (tg_sock_open(s, TG_STREAM, 0, cookie_of(n, f, END_LISTENER), &f->listener) ||
			tg_sock_bind(s, f->listener, &a) || tg_sock_listen(s, f->listener, 8, 0))
			return false;
		n->node[f->to].due = true;
	}
	return true;
}

uint64_t net_flow_next(const struct net_flow *f)
{
	return f->done || f->shut ? NEVER_NS : f->next_ns;
}

/* ---- Writing ---- */

static void note_status(struct net *n, struct net_flow *f)
{
	struct tg_tcp_info i;

	if (!f->sender || tg_tcp_status(n->node[f->from].s, f->sender, &i) != 0)
		return;
	f->out->srtt_ns = i.srtt_ns;
	f->out->min_rtt_ns = i.min_rtt_ns;
	f->out->cwnd_bytes = i.cwnd_bytes;
	f->out->segs_out = i.segs_out;
	f->out->retransmits = i.retransmits;
}

static void end_writing(struct net *n, struct net_flow *f)
{
	f->shut = true;
	tg_sock_shutdown(n->node[f->from].s, f->sender, TG_SHUT_WR, n->now_ns);
}

static void write_more(struct net *n, struct net_flow *f)
{
	struct tg *s = n->node[f->from].s;

	while (!f->shut && f->written_bytes < f->allowed_bytes) {
		struct tg_mspan sp[2];
		uint64_t room = 0, left = f->allowed_bytes - f->written_bytes;
		int spans = tg_sock_reserve(s, f->sender, (size_t)min_u64(left, 1u << 20), sp);

		for (int i = 0; i < spans; i++)
			room += sp[i].len;
		room = min_u64(room, left);
		if (room == 0 || tg_sock_commit(s, f->sender, (size_t)room, 0, n->now_ns) < 0)
			break;
		f->written_bytes += room;
	}
	if (!f->shut && f->written_bytes >= f->asked_bytes)
		end_writing(n, f);
}

static void begin(struct net *n, struct net_flow *f)
{
	struct tg *s = n->node[f->from].s;
	struct tg_addr a = {.ip = n->node[f->to].ip,
		.port = (uint16_t)(NET_PORT_FIRST + (uint32_t)(f - n->flow))};
	int r = tg_sock_open(s, TG_STREAM, 0, cookie_of(n, f, END_SENDER), &f->sender);

	f->started = true;
	f->out->start_ns = n->now_ns;
	if (r == 0)
		r = tg_sock_connect(s, f->sender, &a, n->now_ns);
	if (r != 0 && r != -TG_EINPROGRESS)
		fail(f, n, -r);
}

void net_flow_run(struct net *n, struct net_flow *f)
{
	n->node[f->from].due = true;
	if (!f->started) {
		begin(n, f);
		if (!f->every_ns)
			f->allowed_bytes = f->asked_bytes;
		f->next_ns = f->every_ns ? f->start_ns : f->stop_ns;
		if (f->every_ns == 0 || f->done)
			return;
	}
	if (n->now_ns >= f->stop_ns) {
		end_writing(n, f);
		return;
	}
	if (f->every_ns) {
		f->allowed_bytes = min_u64(f->asked_bytes, f->allowed_bytes + f->chunk_bytes);
		f->next_ns = min_u64(n->now_ns + f->every_ns, f->stop_ns);
	}
	write_more(n, f);
}

/* ---- Reading ---- */

static void read_all(struct net *n, struct net_flow *f)
{
	struct tg *s = n->node[f->to].s;
	struct tg_span sp[16];
	int spans;

	while ((spans = tg_sock_peek(s, f->receiver, sp, 16)) > 0) {
		uint64_t got = 0;

		for (int i = 0; i < spans; i++)
			got += sp[i].len;
		tg_sock_consume(s, f->receiver, (size_t)got, n->now_ns);
		f->out->delivered_bytes += got;
		if (net_measuring(n))
			f->measured_bytes += got;
		if (f->out->delivered_bytes == f->asked_bytes)
			f->out->end_ns = n->now_ns;
	}
	if (spans == 0) { /* the end of the stream */
		f->out->complete = f->out->delivered_bytes == f->written_bytes && f->shut;
		if (f->out->end_ns == NEVER_NS)
			f->out->end_ns = n->now_ns;
		f->done = true;
		tg_sock_close(s, f->receiver, n->now_ns);
		f->receiver = 0;
	}
}

static void accept_one(struct net *n, struct net_flow *f)
{
	struct tg *s = n->node[f->to].s;

	if (f->receiver || tg_sock_accept(s, f->listener, cookie_of(n, f, END_RECEIVER),
				   &f->receiver, n->now_ns) != 0)
		return;
	read_all(n, f);
}

static void sender_event(struct net *n, struct net_flow *f, const struct tg_event *e)
{
	struct tg *s = n->node[f->from].s;
	int64_t error = 0;

	note_status(n, f);
	if (e->events & TG_ERR) {
		tg_sock_getopt(s, f->sender, TG_SO_ERROR, &error);
		if (error && !f->out->error) {
			fail(f, n, (int)error);
			return;
		}
	}
	if (e->events & TG_OUT)
		write_more(n, f);
	if (e->events & (TG_RDHUP | TG_HUP)) {
		tg_sock_close(s, f->sender, n->now_ns);
		f->sender = 0;
	}
}

void net_flow_event(struct net *n, uint32_t node, const struct tg_event *e)
{
	struct net_flow *f = &n->flow[e->cookie >> 2];

	n->node[node].due = true;
	switch (e->cookie & 3) {
	case END_LISTENER: accept_one(n, f); break;
	case END_SENDER:
		if (f->sender)
			sender_event(n, f, e);
		break;
	default:
		if (f->receiver)
			read_all(n, f);
	}
}

void net_flow_finish(struct net *n, struct net_flow *f)
{
	uint64_t span_ns = n->to_ns - n->from_ns;

	note_status(n, f);
	/* of a flow that ended within it, the time until then */
	if (f->out->end_ns != NEVER_NS && f->out->end_ns < n->to_ns)
		span_ns = f->out->end_ns > n->from_ns ? f->out->end_ns - n->from_ns : 0;
	if (f->start_ns > n->from_ns)
		span_ns -= min_u64(span_ns, f->start_ns - n->from_ns);
	f->out->goodput_bps =
		span_ns / 1000 ? f->measured_bytes * 8000 / (span_ns / 1000) * 1000 : 0;
}
