/* Calls that the user of the stepper makes on an instance, as an application would. */
#include "sim/step.h"
#include "tcp/tcp.h"
#include "tcp/tcp_user.h"
#include "wire/eth.h"
#include "wire/ip4.h"

#define BACKLOG 16u

uint32_t step_conn_of(const struct tg *s, tg_sock k)
{
	const struct endpoint *e = k ? handle_find(s, k) : NULL;

	return e && e->type == TG_STREAM ? tcp_user_serial(e) : 0;
}

/* The IPv4 packet in a frame; false: there is none. */
static bool packet_of(enum tg_link link, const uint8_t **data, uint32_t *bytes)
{
	struct eth_hdr h;

	if (link == TG_LINK_IP)
		return true;
	if (eth_parse(*data, *bytes, &h) != TG_DROP_NONE || h.type != ETH_TYPE_IP4)
		return false;
	*data += ETH_HDR_BYTES;
	*bytes -= ETH_HDR_BYTES;
	return true;
}

uint32_t step_conn_of_frame(
	const struct tg *s, enum tg_link link, const uint8_t *data, uint32_t bytes)
{
	const struct tcp_conn *c;
	struct tg_ip us, them;
	struct ip4_hdr h;
	uint16_t to, from;
	uint32_t hash;

	if (!packet_of(link, &data, &bytes) || ip4_parse(data, bytes, &h) != TG_DROP_NONE ||
		h.proto != IP_PROTO_TCP || h.frag_off || bytes < h.hdr_bytes + 4u)
		return 0;
	data += h.hdr_bytes;
	from = (uint16_t)(data[0] << 8 | data[1]);
	to = (uint16_t)(data[2] << 8 | data[3]);
	us = tg_ip4_of(h.dst);
	them = tg_ip4_of(h.src);
	hash = tcp_tuple_hash(s, &us, to, &them, from);
	c = tcp_find_conn(s, &us, to, &them, from, hash);
	if (!c)
		c = tcp_pick_listener(s, &us, to, hash);
	return c ? c->serial : 0;
}

/* ---- Is it possible? ------------------------------------------------------------------------- */

static bool wants_sock(unsigned act)
{
	return act >= TG_ACT_ACCEPT && act <= TG_ACT_SETOPT;
}

const char *step_call_may(struct tg *s, const struct tg_step_action *a, struct tg_step_event *ev)
{
	struct tg_tcp_info info;

	ev->kind = TG_STEP_CALL;
	ev->end = a->end;
	step_text_action(a, ev->text, sizeof(ev->text));
	if (!s)
		return "that end is not ours: calls are made at the other one";
	if (wants_sock(a->act)) {
		if (tg_tcp_status(s, a->sock, &info) < 0)
			return "there is no such connection at this end: connect or listen makes "
			       "one, accept takes one";
		ev->conn = info.conn;
	}
	if ((a->act == TG_ACT_SEND || a->act == TG_ACT_RECV) && a->bytes > TG_STEP_DATA_MAX)
		return "at most 65536 bytes at a time";
	if (a->act == TG_ACT_SHUTDOWN && (a->how < TG_SHUT_RD || a->how > TG_SHUT_RDWR))
		return "shutdown takes 0 (reading), 1 (writing) or 2 (both)";
	if ((a->act == TG_ACT_CONNECT || a->act == TG_ACT_LISTEN) && !a->addr.port)
		return "a port is needed, 1 to 65535";
	return NULL;
}

/* ---- The calls ------------------------------------------------------------------------------- */

/* A new stream that listens or connects; what is refused leaves nothing behind. */
static int64_t open_stream(struct tg *s, const struct tg_step_action *a, uint64_t now_ns)
{
	tg_sock k = 0;
	int r = tg_sock_open(s, TG_STREAM, 0, 0, &k);

	if (r < 0)
		return r;
	if (a->act == TG_ACT_CONNECT) {
		r = tg_sock_connect(s, k, &a->addr, now_ns);
		r = r == -TG_EINPROGRESS ? 0 : r;
	} else {
		tg_sock_setopt(s, k, TG_SO_REUSEADDR, 1, now_ns);
		r = tg_sock_bind(s, k, &a->addr);
		if (r == 0)
			r = tg_sock_listen(s, k, BACKLOG, now_ns);
	}
	if (r == 0)
		return (int64_t)k;
	tg_sock_close(s, k, now_ns);
	return r;
}

static int64_t do_accept(struct tg *s, tg_sock k, uint64_t now_ns)
{
	tg_sock out = 0;
	int r = tg_sock_accept(s, k, 0, &out, now_ns);

	return r < 0 ? r : (int64_t)out;
}

static int64_t do_send(
	struct tg_stepper *w, struct tg *s, const struct tg_step_action *a, uint64_t now_ns)
{
	const void *data = a->data;

	if (!data) {
		for (uint32_t i = 0; i < a->bytes; i++)
			w->data[i] = (uint8_t)('a' + i % 26);
		data = w->data;
	}
	return tg_sock_send(s, a->sock, data, a->bytes, (unsigned)a->how, now_ns);
}

static int64_t do_recv(
	struct tg_stepper *w, struct tg *s, const struct tg_step_action *a, uint64_t now_ns)
{
	int64_t n = tg_sock_recv(s, a->sock, w->data, a->bytes, (unsigned)a->how, now_ns);

	step_told_bytes(w, w->data, n > 0 ? (uint32_t)n : 0);
	return n;
}

int64_t step_call(
	struct tg_stepper *w, struct tg *s, const struct tg_step_action *a, uint64_t now_ns)
{
	_Static_assert(TG_STEP_DATA_MAX <= STEP_FRAME_MAX, "data pass through the frame's room");
	switch ((enum tg_step_act)a->act) {
	case TG_ACT_CONNECT:
	case TG_ACT_LISTEN: return open_stream(s, a, now_ns);
	case TG_ACT_ACCEPT: return do_accept(s, a->sock, now_ns);
	case TG_ACT_SEND: return do_send(w, s, a, now_ns);
	case TG_ACT_RECV: return do_recv(w, s, a, now_ns);
	case TG_ACT_SHUTDOWN: return tg_sock_shutdown(s, a->sock, a->how, now_ns);
	case TG_ACT_CLOSE: return tg_sock_close(s, a->sock, now_ns);
	case TG_ACT_ABORT: return tg_sock_abort(s, a->sock, now_ns);
	case TG_ACT_SETOPT:
		return tg_sock_setopt(s, a->sock, (enum tg_option)a->option, a->value, now_ns);
	case TG_ACT_NONE:
	case TG_ACT_DELIVER:
	case TG_ACT_DROP:
	case TG_ACT_DUP:
	case TG_ACT_SWAP:
	case TG_ACT_CORRUPT:
	case TG_ACT_DELAY:
	case TG_ACT_ADVANCE:
	case TG_ACT_COUNT: break;
	}
	return -TG_EINVAL;
}
