/* UDP sockets (udp/, core/dgram) over IP: binding, demultiplexing, queues, errors, sending. */
#include "udp_support.h"

#include "base/be.h"

START_TEST (loopback_carries_everything) {
	struct endpoint *a = bound(LOCAL, 1000), *b = bound(ANY, 2000);
	struct tg_dgram from, to;
	char buf[100];

	memset(&to, 0, sizeof(to));
	to.peer = at(LOCAL, 2000);
	to.ttl = 3;
	to.tos = 0x28;
	ck_assert_int_eq(udp_sendto(s, a, "hello", 5, 0, &to), 5);
	ck_assert_int_eq(udp_sendto(s, a, NULL, 0, 0, &to), 0); /* of length 0 */
	ck_assert_int_eq(udp_recvfrom(s, b, buf, 100, 0, NULL), -TG_EAGAIN);
	tg_step(s, 1);
	ck_assert_uint_le(tg_next_deadline(s), 1);
	tg_step(s, 2);
	ck_assert_uint_eq(b->level, TG_IN | TG_OUT);
	ck_assert_int_eq(udp_recvfrom(s, b, buf, 100, 0, &from), 5);
	ck_assert(memcmp(buf, "hello", 5) == 0 && from.bytes == 5 && !from.broadcast);
	ck_assert(ip_equal(&from.peer.ip, &to.peer.ip) && from.peer.port == 1000);
	ck_assert(ip_equal(&from.local, &to.peer.ip) && from.ttl == 3 && from.tos == 0x28 &&
		  from.netif == 0);
	ck_assert_int_eq(udp_recvfrom(s, b, buf, 100, 0, &from), 0);
	ck_assert_uint_eq(from.bytes, 0);
	ck_assert_int_eq(udp_recvfrom(s, b, buf, 100, 0, &from), -TG_EAGAIN);
	ck_assert_uint_eq(b->level, TG_OUT);
	done(a);
	done(b);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

START_TEST (demux_prefers_the_closest) {
	struct endpoint *conn = connected(US, 53, THEM, 1111), *any = sock_open(NULL),
			*spec = sock_open(NULL);

	udp_setopt(s, any, TG_SO_REUSEADDR, 1);
	udp_setopt(s, spec, TG_SO_REUSEADDR, 1);
	ck_assert_int_eq(try_bind(any, ANY, 53), 0);
	from_them(OTHER, 1111, US, 53);
	ck_assert_int_eq(recv_len(any), 5); /* not for the connected one */
	ck_assert_int_eq(try_bind(spec, US, 53), 0);
	from_them(THEM, 1111, US, 53);
	ck_assert_int_eq(recv_len(conn), 5);
	from_them(THEM, 1112, US, 53);
	ck_assert_int_eq(recv_len(spec), 5);
	from_them(OTHER, 1111, US, 53);
	ck_assert_int_eq(recv_len(spec), 5);
	ck_assert_int_eq(recv_len(any), -TG_EAGAIN);
	ck_assert_int_eq(recv_len(conn), -TG_EAGAIN);
	done(conn);
	from_them(THEM, 1111, US, 53);
	ck_assert_int_eq(recv_len(spec), 5);
	done(spec);
	from_them(THEM, 1111, US, 53);
	ck_assert_int_eq(recv_len(any), 5);
	done(any);
	from_them(THEM, 1111, US, 53);
	ck_assert_uint_eq(drops(TG_DROP_UDP_NO_PORT), 1);
}
END_TEST

/* [1122-U5] */
START_TEST (bind_rules) {
	struct endpoint *a = bound(US, 53), *b = sock_open(NULL), *c = sock_open(NULL);
	struct tg_addr local, peer, them = at(THEM, 9), nobody = at(ANY, 0);

	ck_assert_int_eq(try_bind(a, US, 54), -TG_EINVAL);
	ck_assert_int_eq(try_bind(b, OTHER, 53), -TG_EADDRNOTAVAIL);
	ck_assert_int_eq(try_bind(b, US, 53), -TG_EADDRINUSE);
	ck_assert_int_eq(try_bind(b, ANY, 53), -TG_EADDRINUSE);
	udp_setopt(s, b, TG_SO_REUSEADDR, 1); /* one alone is not enough */
	ck_assert_int_eq(try_bind(b, ANY, 53), -TG_EADDRINUSE);
	udp_setopt(s, a, TG_SO_REUSEADDR, 1);
	ck_assert_int_eq(try_bind(b, ANY, 53), 0);
	ck_assert_int_eq(try_bind(c, LOCAL, 53), -TG_EADDRINUSE);
	done(b);
	ck_assert_int_eq(try_bind(c, LOCAL, 53), 0); /* another address */
	/* Connecting lends address and port to who has chosen none, disconnecting takes them back.
	 */
	b = sock_open(NULL);
	ck_assert_int_eq(udp_connect(s, b, &them), 0);
	udp_addrs(s, b, &local, &peer);
	ck_assert_uint_ge(local.port, 32768);
	ck_assert(tg_ip4_value(&local.ip) == 0xc0000202 && peer.port == 9);
	ck_assert_int_eq(udp_connect(s, b, &nobody), 0);
	udp_addrs(s, b, &local, &peer);
	ck_assert(local.port == 0 && ip_is_any(&local.ip) && peer.port == 0);
	ck_assert_int_eq(udp_connect(s, c, &nobody), 0);
	udp_addrs(s, c, &local, &peer);
	ck_assert(local.port == 53 && !ip_is_any(&local.ip));
	them.port = 0;
	ck_assert_int_eq(udp_connect(s, b, &them), -TG_EINVAL);
	done(a);
	done(b);
	done(c);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* [6056 3.3.1] */
START_TEST (ephemeral_ports_are_used_up) {
	struct endpoint *e[4], *more;
	unsigned seen = 0;

	teardown();
	setup_with(0, 5000, 5003);
	more = sock_open(NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct tg_addr local, peer;

		e[i] = bound(ANY, 0);
		udp_addrs(s, e[i], &local, &peer);
		seen |= 1u << (local.port - 5000);
	}
	ck_assert_uint_eq(seen, 15);
	ck_assert_int_eq(try_bind(more, ANY, 0), -TG_EADDRINUSE);
	ck_assert_int_eq(send_to(more, "x", 1, THEM, 9), -TG_EADDRNOTAVAIL);
	done(e[2]);
	ck_assert_int_eq(send_to(more, "x", 1, THEM, 9), 1);
}
END_TEST

/* [1122-U4] */
START_TEST (checksums) {
	struct endpoint *e = bound(ANY, 53);
	struct wire_dgram w = {.src = THEM, .sport = 7, .dst = US, .dport = 53, .bytes = 33};

	wire_in(&w);
	w.padding = 9; /* not part of the sum */
	wire_in(&w);
	w.no_csum = true;
	wire_in(&w);
	w.no_csum = false;
	w.csum = TG_CSUM_PARTIAL;
	wire_in(&w);
	w.bad_csum = true; /* the device says that it is good */
	w.csum = TG_CSUM_VALID;
	wire_in(&w);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(recv_len(e), 33);
	w.csum = TG_CSUM_UNKNOWN;
	wire_in(&w);
	w.padding = 0;
	wire_in(&w);
	ck_assert_int_eq(recv_len(e), -TG_EAGAIN);
	ck_assert_uint_eq(drops(TG_DROP_UDP_CSUM), 2);
	ck_assert_uint_eq(tg_counters(s)->udp_in_datagrams, 5);
	ck_assert_uint_eq(tg_counters(s)->udp_in_errors, 2);
}
END_TEST

START_TEST (coalesced_datagrams_are_taken_apart) {
	struct endpoint *e = bound(ANY, 53);
	struct wire_dgram w = {.src = THEM,
		.sport = 7,
		.dst = US,
		.dport = 53,
		.bytes = 2500,
		.gso_size = 1000,
		.csum = TG_CSUM_PARTIAL};
	uint8_t b[2000];

	wire_in(&w);
	ck_assert_int_eq(recv_len(e), 1000);
	ck_assert_int_eq(udp_recvfrom(s, e, b, sizeof(b), 0, NULL), 1000);
	ck_assert_uint_eq(b[0], (uint8_t)(1000 * 7));
	ck_assert_int_eq(recv_len(e), 500);
	ck_assert_int_eq(recv_len(e), -TG_EAGAIN);
	ck_assert_uint_eq(tg_counters(s)->udp_in_datagrams, 3);
	/* Part of it fits: the rest is counted, the frame is delivered. */
	udp_setopt(s, e, TG_SO_RCVBUF, 2304);
	wire_in(&w);
	ck_assert_int_eq(recv_len(e), 1000);
	ck_assert_int_eq(recv_len(e), 500);
	ck_assert_int_eq(recv_len(e), -TG_EAGAIN);
	ck_assert_uint_eq(tg_counters(s)->discards[TG_DROP_UDP_QUEUE_FULL], 1);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* [1122-L7, U1] */
START_TEST (no_port_is_answered_unless_to_a_group) {
	struct wire_dgram w = {.src = THEM, .sport = 7, .dst = US, .dport = 53, .bytes = 33};

	wire_in(&w);
	tg_step(s, 1);
	ck_assert_uint_eq(dev.n, 1);
	ck_assert(dev.frame[0].bytes[9] == IP_PROTO_ICMP &&
		  dev.frame[0].bytes[20] == ICMP_UNREACHABLE &&
		  dev.frame[0].bytes[21] == ICMP_UNREACH_PORT);
	w.dst = BCAST;
	wire_in(&w);
	tg_step(s, 2);
	ck_assert_uint_eq(dev.n, 1);
	ck_assert_uint_eq(drops(TG_DROP_UDP_NO_PORT), 2);
	ck_assert_uint_eq(tg_counters(s)->udp_no_ports, 2);
}
END_TEST

START_TEST (receive_queue_is_bounded_by_memory) {
	struct endpoint *e = bound(ANY, 53);
	struct wire_dgram w = {.src = THEM, .sport = 7, .dst = US, .dport = 53, .bytes = 1};
	unsigned n = 0;

	/* A datagram of one byte costs what it takes, not one byte, and not the block it came in.
	 */
	while (drops(TG_DROP_UDP_QUEUE_FULL) == 0 && n < 100000) {
		wire_in(&w);
		n++;
	}
	ck_assert_uint_gt(n, 1000);
	ck_assert_uint_le(in_use() - idle_bytes, 212992 + 4096);
	while (recv_len(e) >= 0)
		n--;
	ck_assert_uint_eq(n, 1);
	/* Large ones keep their block: three of them. */
	w.bytes = 60000;
	for (n = 0; n < 10; n++)
		wire_in(&w);
	for (n = 0; recv_len(e) == 60000; n++)
		;
	ck_assert_uint_eq(n, 3);
	/* Out of the reserve: copied, or dropped, never kept. */
	w.reserve = true;
	for (n = 0; n < 10; n++)
		wire_in(&w);
	for (n = 0; n < CORE_RESERVE_PKTS; n++)
		ck_assert_ptr_nonnull(n == 0 ? s->reserve : s->reserve->next);
	for (n = 0; recv_len(e) == 60000; n++)
		;
	ck_assert_uint_eq(n, 3);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* [1122-G7] */
START_TEST (broadcast_reaches_everybody) {
	struct endpoint *a = sock_open(NULL), *b = sock_open(NULL), *c = sock_open(NULL);
	struct tg_dgram from;
	char buf[10];

	udp_setopt(s, a, TG_SO_REUSEADDR, 1);
	udp_setopt(s, b, TG_SO_REUSEADDR, 1);
	udp_setopt(s, c, TG_SO_REUSEADDR, 1);
	ck_assert_int_eq(try_bind(a, ANY, 67), 0);
	ck_assert_int_eq(try_bind(b, BCAST, 67), 0);
	ck_assert_int_eq(try_bind(c, US, 67), 0); /* of its own address alone */
	from_them(THEM, 68, BCAST, 67);
	ck_assert_int_eq(udp_recvfrom(s, a, buf, 10, 0, &from), 5);
	ck_assert(from.broadcast);
	ck_assert_int_eq(recv_len(b), 5);
	ck_assert_int_eq(recv_len(c), -TG_EAGAIN);
	/* Sending asks for permission. */
	ck_assert_int_eq(send_to(a, "x", 1, BCAST, 67), -TG_EACCES);
	udp_setopt(s, a, TG_SO_BROADCAST, 1);
	ck_assert_int_eq(send_to(a, "x", 1, BCAST, 67), 1);
	tg_step(s, 1);
	ck_assert_uint_eq(dev.n, 1);
	/* Who is bound to a broadcast address does not send from it. */
	ck_assert_int_eq(send_to(b, "x", 1, THEM, 67), 1);
	tg_step(s, 2);
	ck_assert(dev.n == 2 && dev.frame[1].bytes[15] == 2);
}
END_TEST

START_TEST (truncation_and_peeking) {
	struct endpoint *e = bound(ANY, 53);
	struct tg_dgram from;
	uint8_t b[10] = {0};

	from_them(THEM, 7, US, 53);
	from_them(THEM, 8, US, 53);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 2, TG_MSG_PEEK, &from), 2);
	ck_assert(from.bytes == 5 && from.peer.port == 7 && b[1] == 7 && b[2] == 0);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 2, TG_MSG_PEEK | TG_MSG_TRUNC, &from), 5);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 2, 0, &from), 2);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 0, 0, &from), 0);
	ck_assert(from.bytes == 5 && from.peer.port == 8);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 2, 0, &from), -TG_EAGAIN);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 2, TG_MSG_OOB, &from), -TG_EOPNOTSUPP);
}
END_TEST

/* An ICMP error of type 3, code, quoting a datagram from us. */
static void icmp_in(uint8_t code, uint16_t our_port, struct tg_ip them, uint16_t their_port)
{
	struct wire_dgram q = {
		.src = US, .sport = our_port, .dst = them, .dport = their_port, .bytes = 4};
	struct icmp_msg m = {.type = ICMP_UNREACHABLE, .code = code};
	uint8_t b[200];
	uint32_t n = wire_build(b + 28, &q);
	struct tg_ip from = THEM, us = US;
	struct ip4_hdr ip = {.src = tg_ip4_value(&from),
		.dst = tg_ip4_value(&us),
		.ttl = 9,
		.proto = IP_PROTO_ICMP,
		.hdr_bytes = 20,
		.total_bytes = (uint16_t)(28 + n)};

	ip4_emit(b, &ip);
	icmp_emit(b + 20, &m, csum_add_scalar(b + 28, n, 0));
	world_input(s, nif, b, 28 + n);
}

/* [1122-U3] */
START_TEST (icmp_errors_reach_the_connected) {
	struct endpoint *e = connected(US, 1000, THEM, 9), *free_one = bound(ANY, 1001);
	struct tg_event ev;

	while (tg_event(s, &ev))
		;
	icmp_in(ICMP_UNREACH_PORT, 1000, OTHER, 9); /* not its peer */
	ck_assert_uint_eq(drops(TG_DROP_ICMP_NO_FLOW), 1);
	icmp_in(ICMP_UNREACH_PORT, 1001, THEM, 9); /* not connected: told nothing */
	ck_assert_uint_eq(free_one->level, TG_OUT);
	ck_assert(!tg_event(s, &ev));
	icmp_in(ICMP_UNREACH_PORT, 1000, THEM, 9);
	ck_assert(tg_event(s, &ev) && ev.sock == handle_of(e) && ev.events == TG_ERR);
	ck_assert_int_eq(recv_len(e), -TG_ECONNREFUSED);
	ck_assert_int_eq(recv_len(e), -TG_EAGAIN);
	ck_assert_uint_eq(e->level, TG_OUT);
	icmp_in(ICMP_UNREACH_HOST, 1000, THEM, 9);
	ck_assert_int_eq(udp_sendto(s, e, "x", 1, 0, NULL), -TG_EHOSTUNREACH);
	ck_assert_int_eq(udp_sendto(s, e, "x", 1, 0, NULL), 1);
	world_check(s);
}
END_TEST

START_TEST (send_queue_is_bounded_and_drains) {
	struct endpoint *e = connected(US, 1000, THEM, 9);
	static uint8_t big[1400];
	struct tg_event ev;
	unsigned n = 0;

	dev.room = 0;
	while (udp_sendto(s, e, big, sizeof(big), 0, NULL) == (int64_t)sizeof(big)) {
		n++;
		if (n % 50 == 0)
			tg_step(s, n);
	}
	ck_assert_uint_ge(n, 104);
	ck_assert_uint_le(in_use() - idle_bytes, 212992 + 16384);
	ck_assert_int_eq(udp_sendto(s, e, big, 1, 0, NULL), -TG_EAGAIN);
	ck_assert_uint_eq(e->level & TG_OUT, 0);
	tg_step(s, 1000);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	while (tg_event(s, &ev))
		;
	dev.room = 1;
	tg_step(s, 2000);
	ck_assert(tg_event(s, &ev) && ev.events == TG_OUT);
	dev.room = UINT32_MAX;
	tg_step(s, 3000);
	ck_assert_uint_eq(dev.n, n);
	ck_assert_uint_eq(tg_counters(s)->udp_out_datagrams, n);
	ck_assert_int_eq(udp_sendto(s, e, big, 65508, 0, NULL), -TG_EMSGSIZE);
	ck_assert_int_eq(udp_sendto(s, e, big, 1, TG_MSG_OOB, NULL), -TG_EOPNOTSUPP);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

START_TEST (what_is_on_the_wire) {
	struct endpoint *e = bound(ANY, 1000);
	static uint8_t big[65507];
	const uint8_t *f;
	struct udp_hdr h;
	uint32_t bytes = 0;

	ck_assert_int_eq(send_to(e, NULL, 0, ANY, 0), -TG_EDESTADDRREQ);
	ck_assert_int_eq(send_to(e, "odd", 3, THEM, 0), -TG_EINVAL);
	ck_assert_int_eq(send_to(e, "odd", 3, THEM, 9), 3);
	tg_step(s, 1);
	ck_assert(dev.n == 1 && dev.frame[0].len == 31);
	f = dev.frame[0].bytes;
	ck_assert_int_eq(udp_parse(f + 20, 11, &h), TG_DROP_NONE);
	ck_assert(h.src_port == 1000 && h.dst_port == 9 && h.bytes == 11 && h.csum != 0);
	ck_assert_uint_eq(csum_fold(csum_add_scalar(f + 20, 11,
				  ip4_pseudo_sum(0xc0000202, 0xc0000201, IP_PROTO_UDP, 11))),
		0xffff);
	ck_assert_int_eq(send_to(e, big, sizeof(big), THEM, 9), sizeof(big));
	tg_step(s, 2);
	ck_assert_uint_eq(dev.n, 1 + 45);
	for (uint32_t i = 1; i < dev.n; i++)
		bytes += dev.frame[i].len - 20;
	ck_assert_uint_eq(bytes, sizeof(big) + 8);
}
END_TEST

START_TEST (closing_sends_what_waits_aborting_does_not) {
	struct endpoint *e = bound(ANY, 1000);

	ck_assert_int_eq(send_to(e, "last", 4, THEM, 9), 4);
	from_them(THEM, 7, US, 1000);
	done(e);
	dev.room = 0;
	tg_step(s, 1);
	dev.room = 5;
	e = bound(ANY, 1000); /* the port is free at once */
	tg_step(s, 2);
	ck_assert_uint_eq(dev.n, 1);
	ck_assert_uint_eq(s->handles.n_used, 1);
	ck_assert_int_eq(send_to(e, "never", 5, THEM, 9), 5);
	handle_close(s, e);
	udp_abort(s, e);
	tg_step(s, 3);
	ck_assert_uint_eq(dev.n, 1);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

START_TEST (shutdown_of_a_connected_socket) {
	struct endpoint *e = bound(US, 1000), *c = connected(US, 1001, THEM, 9);

	ck_assert_int_eq(udp_shutdown(s, e, TG_SHUT_RD), -TG_ENOTCONN);
	ck_assert_int_eq(udp_shutdown(s, c, 3), -TG_EINVAL);
	ck_assert_int_eq(udp_shutdown(s, c, TG_SHUT_WR), 0);
	ck_assert_int_eq(udp_sendto(s, c, "x", 1, 0, NULL), -TG_EPIPE);
	from_them(THEM, 9, US, 1001);
	ck_assert_int_eq(udp_shutdown(s, c, TG_SHUT_RD), 0);
	ck_assert_uint_eq(c->level, TG_IN | TG_OUT | TG_RDHUP | TG_HUP);
	ck_assert_int_eq(recv_len(c), 5);
	ck_assert_int_eq(recv_len(c), 0);
}
END_TEST

/* [1122-U7] */
START_TEST (options) {
	struct endpoint *e = bound(US, 1000);
	int64_t v;

	ck_assert_int_eq(udp_setopt(s, e, TG_IP_TTL, 0), -TG_EINVAL);
	ck_assert_int_eq(udp_setopt(s, e, TG_IP_TTL, 256), -TG_EINVAL);
	ck_assert_int_eq(udp_setopt(s, e, TG_IP_TTL, 17), 0);
	ck_assert_int_eq(udp_setopt(s, e, TG_IP_TOS, 256), -TG_EINVAL);
	ck_assert_int_eq(udp_setopt(s, e, TG_TCP_NODELAY, 1), -TG_ENOPROTOOPT);
	ck_assert_int_eq(udp_getopt(s, e, TG_IP_TTL, &v), 0);
	ck_assert_int_eq(v, 17);
	ck_assert_int_eq(send_to(e, "x", 1, THEM, 9), 1);
	ck_assert_int_eq(udp_getopt(s, e, TG_SO_OUTQ, &v), 0);
	ck_assert_int_eq(v, 1);
	tg_step(s, 1);
	ck_assert_uint_eq(dev.frame[0].bytes[8], 17);
	from_them(THEM, 9, US, 1000);
	ck_assert_int_eq(udp_getopt(s, e, TG_SO_INQ, &v), 0);
	ck_assert_int_eq(v, 5);
	ck_assert_int_eq(udp_setopt(s, e, TG_SO_RCVBUF, 0), 0);
	ck_assert_int_eq(udp_getopt(s, e, TG_SO_RCVBUF, &v), 0);
	ck_assert_int_eq(v, DSOCK_BUF_MIN);
}
END_TEST

/* Sends a byte from e, asked to come from `from`, and tells the source that it had. */
static uint32_t source_of(struct endpoint *e, struct tg_ip from, struct tg_ip ip, struct dev *d)
{
	struct tg_dgram to = {.peer = at(ip, 9), .local = from};
	uint32_t before = d->n;

	ck_assert_int_eq(udp_sendto(s, e, "x", 1, 0, &to), 1);
	tg_step(s, s->now_ns + 1);
	ck_assert_uint_eq(d->n, before + 1);
	return be32_load(d->frame[before].bytes + 12);
}

/* [1122-U5] The way to a peer is remembered: not longer than it is right. */
START_TEST (the_way_is_found_anew_when_something_changes) {
	struct endpoint *e = sock_open(NULL);
	struct tg_ip us = US, them = THEM, second = tg_ip4(192, 0, 2, 3), far = tg_ip4(10, 0, 0, 2);
	struct tg_addr other = at(OTHER, 9), nobody = at(ANY, 0);
	uint32_t first = tg_ip4_value(&us);
	struct dev more;
	unsigned there;

	dev_init(&more);
	ck_assert_uint_eq(source_of(e, ANY, THEM, &dev), first);
	ck_assert_int_eq(tg_addr_add(s, nif, &second, 24, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(source_of(e, second, THEM, &dev), tg_ip4_value(&second));
		ck_assert_uint_eq(source_of(e, ANY, THEM, &dev), first);
		ck_assert_uint_eq(source_of(e, second, OTHER, &dev), tg_ip4_value(&second));
		ck_assert_uint_eq(source_of(e, ANY, OTHER, &dev), first);
	}
	ck_assert_int_eq(udp_connect(s, e, &other), 0);
	ck_assert_int_eq(udp_connect(s, e, &nobody), 0);
	ck_assert_uint_eq(source_of(e, second, OTHER, &dev), tg_ip4_value(&second));
	/* Another interface, by a better route. */
	there = world_netif(s, &more, TG_LINK_IP, 0, 1500);
	ck_assert_int_eq(tg_addr_add(s, there, &far, 24, 0), 0);
	ck_assert_uint_eq(source_of(e, ANY, THEM, &dev), first);
	ck_assert_int_eq(send_to(e, "x", 1, THEM, 9), 1);
	ck_assert_int_eq(tg_route_add(s, &them, 32, NULL, there, 0, 0), 0);
	tg_step(s, s->now_ns + 1); /* what was queued finds its own way */
	ck_assert_uint_eq(source_of(e, ANY, THEM, &more), tg_ip4_value(&far));
	ck_assert_int_eq(tg_route_del(s, &them, 32, NULL, there, 0), 0);
	ck_assert_uint_eq(source_of(e, ANY, THEM, &dev), first);
	/* One waits for its device, another was queued behind it. */
	dev.room = 0;
	ck_assert_int_eq(send_to(e, "x", 1, THEM, 9), 1);
	ck_assert_int_eq(send_to(e, "x", 1, tg_ip4(10, 0, 0, 9), 9), 1);
	tg_step(s, s->now_ns + 1);
	ck_assert_int_eq(send_to(e, "x", 1, THEM, 9), 1);
	dev.room = UINT32_MAX;
	tg_step(s, s->now_ns + 1);
	ck_assert_uint_eq(be32_load(dev.frame[dev.n - 1].bytes + 12), first);
	/* What was allowed is not any more. */
	udp_setopt(s, e, TG_SO_BROADCAST, 1);
	ck_assert_uint_eq(source_of(e, ANY, BCAST, &dev), first);
	udp_setopt(s, e, TG_SO_BROADCAST, 0);
	ck_assert_int_eq(send_to(e, "x", 1, BCAST, 9), -TG_EACCES);
	done(e);
	dev_clear(&more);
}
END_TEST

/* [1122-L9] A neighbour that does not answer: the call says so, as soon as that is known. */
START_TEST (the_way_to_a_silent_neighbour) {
	struct tg_ip here = tg_ip4(198, 51, 100, 2);
	struct endpoint *e = sock_open(NULL);
	unsigned eth = world_netif(s, &dev, TG_LINK_ETHERNET, 0, 1500);
	int64_t r = 1;

	ck_assert_int_eq(tg_addr_add(s, eth, &here, 24, 0), 0);
	for (unsigned i = 0; i < 100 && r == 1; i++) {
		r = send_to(e, "x", 1, tg_ip4(198, 51, 100, 1), 9);
		tg_step(s, s->now_ns + 100 * NS_PER_MS);
	}
	ck_assert_int_eq(r, -TG_EHOSTUNREACH);
	done(e);
}
END_TEST

static Suite *udp_sock_suite(void)
{
	Suite *su = suite_create("udp_sock");
	TCase *tc = tcase_create("udp_sock");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, loopback_carries_everything);
	tcase_add_test(tc, demux_prefers_the_closest);
	tcase_add_test(tc, bind_rules);
	tcase_add_test(tc, ephemeral_ports_are_used_up);
	tcase_add_test(tc, checksums);
	tcase_add_test(tc, coalesced_datagrams_are_taken_apart);
	tcase_add_test(tc, no_port_is_answered_unless_to_a_group);
	tcase_add_test(tc, receive_queue_is_bounded_by_memory);
	tcase_add_test(tc, broadcast_reaches_everybody);
	tcase_add_test(tc, truncation_and_peeking);
	tcase_add_test(tc, icmp_errors_reach_the_connected);
	tcase_add_test(tc, send_queue_is_bounded_and_drains);
	tcase_add_test(tc, what_is_on_the_wire);
	tcase_add_test(tc, closing_sends_what_waits_aborting_does_not);
	tcase_add_test(tc, shutdown_of_a_connected_socket);
	tcase_add_test(tc, options);
	tcase_add_test(tc, the_way_is_found_anew_when_something_changes);
	tcase_add_test(tc, the_way_to_a_silent_neighbour);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(udp_sock_suite)
