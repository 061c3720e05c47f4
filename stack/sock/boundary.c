/* The boundary of the core: every state-changing function of tapglass.h with a handle, a frame or
 * an address (packets are handed out by core/pkt.c). Here, and nowhere else, sits the journal: with
 * a recorder a call is made and then told with its arguments, its bytes and its result; received
 * frames and steps are told before, because they take the bytes away and cause records of their
 * own. Without a recorder it is a branch, and the call.
 *
 * Not here: tg_create, whose arguments the first record has; what only looks. */
#include "sock/sock_impl.h"

#include "base/chain.h"
#include "ip/ip.h"

/* A call begins: what it calls in its turn is no call of the user's. False: nobody records. */
static inline bool call_begin(struct tg *s)
{
	if (!s->recorder)
		return false;
	s->recorder->inside = true;
	return true;
}

static void call_end(struct tg *s, const struct tg_record *r)
{
	s->recorder->inside = false;
	record_call(s, r);
}

#define RECORD(NAME, n, ...)                                                                       \
	(struct tg_record)                                                                         \
	{                                                                                          \
		.type = TG_RECORD_##NAME, .n_words = (n), .word = { __VA_ARGS__ }                  \
	}

static void add_data(struct tg_record *r, const void *base, size_t n)
{
	if (n > TG_RECORD_BYTES_MAX)
		n = TG_RECORD_BYTES_MAX; /* the recorder refuses it for its length */
	r->data[r->n_data++] = (struct tg_span){base, (uint32_t)n};
}

static uint64_t word_of(int64_t result)
{
	return (uint64_t)result;
}

/* ---- Interfaces, addresses, frames, time ---- */

int tg_netif_add(struct tg *s, const struct tg_netif_config *c, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return netif_add(s, c, now_ns);
	result = netif_add(s, c, now_ns);
	r = RECORD(NETIF_ADD, 6, now_ns, c->link, c->mtu, c->caps,
		(uint64_t)c->announce | (uint64_t)(c->transmit != NULL) << 1 |
			(uint64_t)(c->pass != NULL) << 2,
		word_of(result));
	add_data(&r, c->name, sizeof(c->name));
	add_data(&r, c->mac, sizeof(c->mac));
	call_end(s, &r);
	return result;
}

int tg_addr_add(
	struct tg *s, unsigned netif, const struct tg_ip *ip, unsigned prefix_len, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return ip_addr_add(s, netif, ip, prefix_len, now_ns);
	result = ip_addr_add(s, netif, ip, prefix_len, now_ns);
	r = RECORD(ADDR_ADD, 4, netif, prefix_len, now_ns, word_of(result));
	add_data(&r, ip, sizeof(*ip));
	call_end(s, &r);
	return result;
}

int tg_route_add(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, unsigned metric, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return ip_route_add(s, dest, prefix_len, gateway, netif, metric, now_ns);
	result = ip_route_add(s, dest, prefix_len, gateway, netif, metric, now_ns);
	r = RECORD(
		ROUTE_ADD, 6, prefix_len, netif, metric, now_ns, gateway != NULL, word_of(result));
	add_data(&r, dest, sizeof(*dest));
	if (gateway)
		add_data(&r, gateway, sizeof(*gateway));
	call_end(s, &r);
	return result;
}

int tg_route_del(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return ip_route_del(s, dest, prefix_len, gateway, netif, now_ns);
	result = ip_route_del(s, dest, prefix_len, gateway, netif, now_ns);
	r = RECORD(ROUTE_DEL, 5, prefix_len, netif, now_ns, gateway != NULL, word_of(result));
	add_data(&r, dest, sizeof(*dest));
	if (gateway)
		add_data(&r, gateway, sizeof(*gateway));
	call_end(s, &r);
	return result;
}

/* The device may have filled in what is impossible: then there are no bytes to be told. */
static void record_input(
	struct tg *s, unsigned netif, const struct tg_pkt *p, uint64_t now_ns, struct tg_record *r)
{
	uintptr_t off = (uintptr_t)p->data - (uintptr_t)(p + 1);

	*r = RECORD(INPUT, 6, netif, now_ns, record_pkt_id(s, p), off, p->len,
		(uint64_t)p->passed << 48 | (uint64_t)p->merged << 32 |
			(uint64_t)p->gso_size << 16 | (uint64_t)p->gso << 8 | p->csum);
	if (off <= p->room && p->len <= p->room - off)
		add_data(r, p->data, p->len);
}

void tg_input(struct tg *s, unsigned netif, struct tg_pkt *p, uint64_t now_ns)
{
	struct tg_record r;

	if (!s->recorder) {
		core_input(s, netif, p, now_ns);
		return;
	}
	record_input(s, netif, p, now_ns, &r);
	record_call(s, &r);
	s->recorder->inside = true;
	core_input(s, netif, p, now_ns);
	s->recorder->inside = false;
}

void tg_step(struct tg *s, uint64_t now_ns)
{
	struct tg_record r = RECORD(STEP, 1, now_ns);

	record_call(s, &r);
	if (!call_begin(s)) {
		core_step(s, now_ns);
		return;
	}
	core_step(s, now_ns);
	s->recorder->inside = false;
}

bool tg_event(struct tg *s, struct tg_event *out)
{
	struct tg_record r;

	if (!core_event(s, out))
		return false; /* nothing has changed */
	if (!call_begin(s))
		return true;
	r = RECORD(EVENT, 3, out->sock, out->cookie, out->events);
	call_end(s, &r);
	return true;
}

/* ---- Sockets ---- */

int tg_sock_open(struct tg *s, enum tg_type type, int protocol, uint64_t cookie, tg_sock *out)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_open(s, type, protocol, cookie, out);
	result = sock_open(s, type, protocol, cookie, out);
	r = RECORD(SOCK_OPEN, 5, type, (uint64_t)protocol, cookie, *out, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_bind(struct tg *s, tg_sock k, const struct tg_addr *a)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_bind(s, k, a);
	result = sock_bind(s, k, a);
	r = RECORD(SOCK_BIND, 2, k, word_of(result));
	if (a)
		add_data(&r, a, sizeof(*a));
	call_end(s, &r);
	return result;
}

int tg_sock_listen(struct tg *s, tg_sock k, uint32_t backlog, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_listen(s, k, backlog, now_ns);
	result = sock_listen(s, k, backlog, now_ns);
	r = RECORD(SOCK_LISTEN, 4, k, backlog, now_ns, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_connect(struct tg *s, tg_sock k, const struct tg_addr *peer, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_connect(s, k, peer, now_ns);
	result = sock_connect(s, k, peer, now_ns);
	r = RECORD(SOCK_CONNECT, 3, k, now_ns, word_of(result));
	if (peer)
		add_data(&r, peer, sizeof(*peer));
	call_end(s, &r);
	return result;
}

int tg_sock_accept(struct tg *s, tg_sock k, uint64_t cookie, tg_sock *out, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_accept(s, k, cookie, out, now_ns);
	result = sock_accept(s, k, cookie, out, now_ns);
	r = RECORD(SOCK_ACCEPT, 5, k, cookie, now_ns, *out, word_of(result));
	call_end(s, &r);
	return result;
}

/* Of the bytes, those that were taken. */
static void add_sent(struct tg_record *r, const void *data, int64_t result)
{
	if (result > 0)
		add_data(r, data, (size_t)result);
}

int64_t tg_sock_send(
	struct tg *s, tg_sock k, const void *data, size_t n, unsigned flags, uint64_t now_ns)
{
	struct tg_record r;
	int64_t result;

	if (!call_begin(s))
		return sock_sendto(s, k, data, n, flags, NULL, now_ns);
	result = sock_sendto(s, k, data, n, flags, NULL, now_ns);
	r = RECORD(SOCK_SEND, 5, k, n, flags, now_ns, word_of(result));
	add_sent(&r, data, result);
	call_end(s, &r);
	return result;
}

int64_t tg_sock_sendto(struct tg *s, tg_sock k, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to, uint64_t now_ns)
{
	struct tg_record r;
	int64_t result;

	if (!call_begin(s))
		return sock_sendto(s, k, data, n, flags, to, now_ns);
	result = sock_sendto(s, k, data, n, flags, to, now_ns);
	r = RECORD(SOCK_SENDTO, 7, k, n, flags, to != NULL,
		to ? (uint64_t)(uint32_t)to->segment << 32 | (uint64_t)to->via << 16 |
				(uint64_t)to->ttl << 8 | to->tos
		   : 0,
		now_ns, word_of(result));
	if (to) {
		add_data(&r, &to->peer, sizeof(to->peer));
		add_data(&r, &to->local, sizeof(to->local));
	}
	add_sent(&r, data, result);
	call_end(s, &r);
	return result;
}

static uint64_t hash_of(const void *data, size_t n, int64_t result)
{
	if (result <= 0)
		return 0;
	return chain_hash(0, data, (uint64_t)result < n ? (size_t)result : n);
}

int64_t tg_sock_recv(struct tg *s, tg_sock k, void *data, size_t n, unsigned flags, uint64_t now_ns)
{
	struct tg_record r;
	int64_t result;

	if (!call_begin(s))
		return sock_recvfrom(s, k, data, n, flags, NULL, now_ns);
	result = sock_recvfrom(s, k, data, n, flags, NULL, now_ns);
	r = RECORD(SOCK_RECV, 6, k, n, flags, now_ns, hash_of(data, n, result), word_of(result));
	call_end(s, &r);
	return result;
}

int64_t tg_sock_recvfrom(struct tg *s, tg_sock k, void *data, size_t n, unsigned flags,
	struct tg_dgram *from, uint64_t now_ns)
{
	struct tg_record r;
	int64_t result;

	if (!call_begin(s))
		return sock_recvfrom(s, k, data, n, flags, from, now_ns);
	result = sock_recvfrom(s, k, data, n, flags, from, now_ns);
	r = RECORD(SOCK_RECVFROM, 7, k, n, flags, from != NULL, now_ns, hash_of(data, n, result),
		word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_reserve(struct tg *s, tg_sock k, size_t want, struct tg_mspan out[2])
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_reserve(s, k, want, out);
	result = sock_reserve(s, k, want, out);
	r = RECORD(SOCK_RESERVE, 3, k, want, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_commit(struct tg *s, tg_sock k, size_t n, unsigned flags, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_commit(s, k, n, flags, now_ns);
	result = sock_commit(s, k, n, flags, now_ns);
	r = RECORD(SOCK_COMMIT, 5, k, n, flags, now_ns, word_of(result));
	if (result >= 0 && n > 0)
		r.n_data =
			(uint8_t)tcp_user_tail(s, handle_find(s, k), n, r.data, ARRAY_LEN(r.data));
	call_end(s, &r);
	return result;
}

int tg_sock_peek(struct tg *s, tg_sock k, struct tg_span *out, unsigned max)
{
	struct tg_record r;
	uint64_t bytes = 0;
	int result;

	if (!call_begin(s))
		return sock_peek(s, k, out, max);
	result = sock_peek(s, k, out, max);
	for (int i = 0; i < result; i++)
		bytes += out[i].len;
	r = RECORD(SOCK_PEEK, 4, k, max, bytes, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_consume(struct tg *s, tg_sock k, size_t n, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_consume(s, k, n, now_ns);
	result = sock_consume(s, k, n, now_ns);
	r = RECORD(SOCK_CONSUME, 4, k, n, now_ns, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_shutdown(struct tg *s, tg_sock k, int how, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_shutdown(s, k, how, now_ns);
	result = sock_shutdown(s, k, how, now_ns);
	r = RECORD(SOCK_SHUTDOWN, 4, k, (uint64_t)how, now_ns, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_close(struct tg *s, tg_sock k, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_close(s, k, now_ns);
	result = sock_close(s, k, now_ns);
	r = RECORD(SOCK_CLOSE, 3, k, now_ns, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_abort(struct tg *s, tg_sock k, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_abort(s, k, now_ns);
	result = sock_abort(s, k, now_ns);
	r = RECORD(SOCK_ABORT, 3, k, now_ns, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_setopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t value, uint64_t now_ns)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_setopt(s, k, opt, value, now_ns);
	result = sock_setopt(s, k, opt, value, now_ns);
	r = RECORD(SOCK_SETOPT, 5, k, opt, (uint64_t)value, now_ns, word_of(result));
	call_end(s, &r);
	return result;
}

int tg_sock_getopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t *value)
{
	struct tg_record r;
	int result;

	if (!call_begin(s))
		return sock_getopt(s, k, opt, value);
	result = sock_getopt(s, k, opt, value);
	r = RECORD(SOCK_GETOPT, 4, k, opt, result < 0 ? 0 : (uint64_t)*value, word_of(result));
	call_end(s, &r);
	return result;
}
