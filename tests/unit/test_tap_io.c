/* A frame is one call whatever its pieces and its header: written to a pair of sockets that keep
 * the boundaries of messages, and read from it. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/tap.h"
#include "port/tap_vnet.h"
#include "sim_support.h"
#include "wire/patch.h"

#define MOST_BYTES 3000u

static struct tap tap;
static int other;
static uint8_t text[MOST_BYTES];

static void pair_open(bool vnet)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	memset(&tap, 0, sizeof(tap));
	tap.fd = fd[0];
	tap.vnet = vnet;
	other = fd[1];
	for (uint32_t i = 0; i < MOST_BYTES; i++)
		text[i] = (uint8_t)(i * 7 + i / 256);
}

static void pair_close(void)
{
	close(tap.fd);
	close(other);
}

/* Frames of every size about the limit of a small one, in one to three pieces. */
START_TEST (written_in_one_call) {
	bool vnet = _i == 1;
	uint8_t got[MOST_BYTES + sizeof(struct virtio_net_hdr)];
	uint32_t head = vnet ? sizeof(struct virtio_net_hdr) : 0;
	struct virtio_net_hdr v;

	pair_open(vnet);
	for (uint32_t n = 60; n <= MOST_BYTES; n += n < 300 || (n >= 1580 && n < 1620) ? 1 : 40) {
		for (uint32_t spans = 1; spans <= 3; spans++) {
			struct tg_frame f = {.bytes = n,
				.n_spans = spans,
				.csum_partial = true,
				.csum_start = (uint16_t)n};
			uint32_t at = 0;

			for (uint32_t i = 0; i < spans; i++) {
				uint32_t len = i + 1 < spans ? 20 + i : n - at;

				f.span[i] = (struct tg_span){text + at, len};
				at += len;
			}
			ck_assert(tap_write(&tap, &f));
			ck_assert_int_eq(read(other, got, sizeof(got)), n + head);
			ck_assert_mem_eq(got + head, text, n);
			if (!vnet)
				continue;
			memcpy(&v, got, sizeof(v));
			ck_assert_uint_eq(v.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			ck_assert_uint_eq(v.csum_start, n);
		}
	}
	ck_assert_uint_eq(tap.stats.writes, tap.stats.frames_out);
	pair_close();
}
END_TEST

START_TEST (read_behind_its_header) {
	bool vnet = _i == 1;
	uint8_t buf[MOST_BYTES], sent[MOST_BYTES];
	uint32_t head = vnet ? sizeof(struct virtio_net_hdr) : 0;
	struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	struct tg_pkt m;

	pair_open(vnet);
	ck_assert_uint_eq(tap_read(&tap, buf, sizeof(buf), &m), 0);
	ck_assert_uint_eq(tap.stats.reads_empty, 1);
	memcpy(sent, &v, head);
	memcpy(sent + head, text, 1000);
	/* not even a header is no frame: the next one is read */
	if (vnet)
		ck_assert_int_eq(write(other, sent, head), head);
	ck_assert_int_eq(write(other, sent, head + 1000), head + 1000);
	ck_assert_uint_eq(tap_read(&tap, buf, sizeof(buf), &m), 1000);
	ck_assert_uint_eq(m.len, 1000);
	ck_assert_ptr_eq(m.data, buf + head);
	ck_assert_mem_eq(m.data, text, 1000);
	ck_assert_uint_eq(m.csum, vnet ? TG_CSUM_VALID : TG_CSUM_UNKNOWN);
	ck_assert(tap.stats.frames_in == 1 && tap.stats.bytes_in == 1000);
	pair_close();
}
END_TEST

START_TEST (read_in_pieces) {
	bool vnet = _i == 1;
	uint8_t sent[MOST_BYTES], a[54], b[500], c[MOST_BYTES];
	uint32_t head = vnet ? sizeof(struct virtio_net_hdr) : 0;
	struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_DATA_VALID}, got;
	struct iovec iov[4] = {{0}, {a, sizeof(a)}, {b, sizeof(b)}, {c, sizeof(c)}};

	pair_open(vnet);
	memcpy(sent, &v, head);
	memcpy(sent + head, text, 700);
	ck_assert_int_eq(write(other, sent, head + 700), head + 700);
	ck_assert_uint_eq(tap_read_pieces(&tap, &got, iov, 3), 700);
	ck_assert_uint_eq(got.flags, vnet ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
	ck_assert_mem_eq(a, text, 54);
	ck_assert_mem_eq(b, text + 54, 500);
	ck_assert_mem_eq(c, text + 554, 146);
	pair_close();
}
END_TEST

/* What the kernel has no memory for in one piece goes in several: a socket that has room for so
 * much at a time plays the device. */
START_TEST (big_frame_is_cut_for_want_of_memory) {
	static uint8_t frame[TG_BIG_BYTES], part[TG_BIG_BYTES];
	uint32_t hdr, n = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_TCP, 100000, 0, &hdr);
	struct tap t = {.vnet = true};
	int fd[2], room = 40000; /* of which the kernel makes twice as much */
	struct virtio_net_hdr v;
	struct tg_frame f;
	struct ip4_hdr ip;
	uint32_t done = 0;
	ssize_t got;

	ck_assert(ip4_parse_quoted(frame + 14, n - 14, &ip));
	ip.total_bytes = 0;
	ip4_emit(frame + 14, &ip);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, n, TG_GSO_TCP4, 1448, TG_CSUM_PARTIAL);
	f.span[0].len = hdr;
	f.span[1] = (struct tg_span){frame + hdr, 30001};
	f.span[2] = (struct tg_span){frame + hdr + 30001, n - hdr - 30001};
	f.n_spans = 3;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	ck_assert_int_eq(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	t.fd = fd[0];
	ck_assert(tap_write(&t, &f));
	ck_assert(t.stats.frames_out == 2 && t.stats.writes == 3 && t.unsent == 0);
	while ((got = read(fd[1], part, sizeof(part))) > 0) {
		uint8_t *b = part + sizeof(v);
		bool last = done > 0;
		struct tcp_seg g;

		n = (uint32_t)got - (uint32_t)sizeof(v);
		memcpy(&v, part, sizeof(v));
		ck_assert(v.gso_type == (last ? VIRTIO_NET_HDR_GSO_TCPV4
					      : VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN));
		ck_assert(v.gso_size == 1448 && v.csum_start == 34 && v.hdr_len == hdr);
		/* the device completes what the pseudo-header's sum begins */
		csum_field_set(
			b + 34 + v.csum_offset, csum_finish(csum_add_scalar(b + 34, n - 34, 0)));
		ck_assert(sim_packet_ok(b, n, TG_LINK_ETHERNET));
		ck_assert_int_eq(tcp_parse(b + 34, n - 34, &g), TG_DROP_NONE);
		ck_assert(g.seq.v == 0xfffffff0u + done && !(g.flags & TCP_FIN) == !last);
		ck_assert(((n - hdr) % 1448 == 0) == !last);
		ck_assert_mem_eq(b + hdr, frame + hdr + done, n - hdr);
		done += n - hdr;
	}
	ck_assert_uint_eq(done, 100000);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

static Suite *tap_io_suite(void)
{
	Suite *s = suite_create("tap_io");
	TCase *t = tcase_create("tap_io");

	tcase_add_loop_test(t, written_in_one_call, 0, 2);
	tcase_add_loop_test(t, read_behind_its_header, 0, 2);
	tcase_add_loop_test(t, read_in_pieces, 0, 2);
	tcase_add_test(t, big_frame_is_cut_for_want_of_memory);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(tap_io_suite)
