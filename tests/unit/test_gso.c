/* Software segmentation and checksum completion against a naive reference that builds every packet
 * from scratch; devices of all capabilities; a device that becomes busy midway. */
#include "core_support.h"

#include "core/gso.h"
#include "wire/ip4.h"
#include "wire/patch.h"
#include "wire/tcp_wire.h"
#include "wire/udp.h"

#define BODY_MAX 65000u

/* A super-frame to be, with all that the reference needs to know. */
struct job {
	bool eth, udp;
	struct ip4_hdr ip;
	struct tcp_seg seg;
	struct udp_hdr uh;
	uint8_t body[BODY_MAX];
	uint32_t len, gso_size;
};

static struct job job;

static void job_random(struct unit_rng *r)
{
	memset(&job, 0, sizeof(job));
	job.eth = unit_below(r, 2);
	job.udp = unit_below(r, 2);
	job.ip = (struct ip4_hdr){.src = (uint32_t)unit_u64(r),
		.dst = (uint32_t)unit_u64(r),
		.id = (uint16_t)unit_u64(r),
		.hdr_bytes = 20,
		.tos = (uint8_t)unit_u64(r),
		.ttl = 64,
		.proto = job.udp ? IP_PROTO_UDP : IP_PROTO_TCP,
		.df = unit_below(r, 2)};
	job.seg.seq.v = unit_below(r, 2) ? (uint32_t)unit_u64(r) : 0xffffff00u;
	job.seg.ack.v = (uint32_t)unit_u64(r);
	job.seg.flags = (uint8_t)(unit_u64(r) & 0xffu & ~(unsigned)(TCP_URG | TCP_SYN | TCP_RST));
	job.seg.wnd = (uint16_t)unit_u64(r);
	job.seg.src_port = (uint16_t)unit_u64(r);
	job.seg.dst_port = (uint16_t)unit_u64(r);
	if (unit_below(r, 2)) {
		job.seg.opts.has = TCP_HAS_TS;
		job.seg.opts.tsval = (uint32_t)unit_u64(r);
	}
	job.uh = (struct udp_hdr){(uint16_t)unit_u64(r), (uint16_t)unit_u64(r), 0, 0};
	job.len = unit_below(r, unit_below(r, 2) ? BODY_MAX : 4000);
	job.gso_size = 1 + unit_below(r, unit_below(r, 2) ? 1460 : 9000);
	if (job.len / job.gso_size >= DEV_FRAMES)
		job.gso_size = job.len / 100 + 1;
	unit_bytes(r, job.body, job.len);
	if (unit_below(r, 8) == 0)
		memset(job.body, 0, job.len);
}

static uint32_t l4_head(uint8_t *b, uint32_t seq_off, uint8_t flags, uint32_t len)
{
	if (job.udp) {
		struct udp_hdr h = job.uh;

		h.bytes = (uint16_t)(UDP_HDR_BYTES + len);
		udp_emit(b, &h);
		return UDP_HDR_BYTES;
	}
	struct tcp_seg g = job.seg;

	g.seq = seq_add(g.seq, seq_off);
	g.flags = flags;
	return tcp_emit(b, &g);
}

/* Link, IP and transport headers for body [off, off + len); pseudo: put the pseudo-header's sum
 * into the checksum field. */
static uint32_t headers(
	uint8_t *b, uint32_t off, uint32_t len, uint16_t id, uint8_t flags, bool pseudo)
{
	struct ip4_hdr ip = job.ip;
	uint32_t link = job.eth ? ETH_HDR_BYTES : 0, l4;
	uint8_t *t = b + link + 20;
	uint16_t field;

	if (job.eth)
		eth_emit(b, peer_mac, dev_mac, ETH_TYPE_IP4);
	l4 = l4_head(t, off, flags, len);
	ip.total_bytes = (uint16_t)(20 + l4 + len);
	ip.id = id;
	ip4_emit(b + link, &ip);
	field = csum_fold(ip4_pseudo_sum(ip.src, ip.dst, ip.proto, l4 + len));
	if (pseudo && job.udp)
		udp_set_csum(t, field);
	else if (pseudo)
		tcp_set_csum(t, field);
	return link + 20 + l4;
}

/* What has to be on the wire for body [off, off + len). */
static uint32_t reference(uint8_t *out, uint32_t off, uint32_t len, uint32_t index, bool last)
{
	uint8_t flags = job.seg.flags;
	uint32_t head, link = job.eth ? ETH_HDR_BYTES : 0, sum;

	if (index > 0)
		flags &= (uint8_t)~TCP_CWR;
	if (!last)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	head = headers(out, off, len, (uint16_t)(job.ip.id + index), flags, false);
	memcpy(out + head, job.body + off, len);
	sum = ip4_pseudo_sum(job.ip.src, job.ip.dst, job.ip.proto, head - link - 20 + len);
	sum = csum_add_scalar(out + link + 20, head - link - 20 + len, sum);
	if (job.udp)
		udp_set_csum(out + link + 20, csum_finish(sum) ? csum_finish(sum) : 0xffff);
	else
		tcp_set_csum(out + link + 20, csum_finish(sum));
	return head + len;
}

static void job_tx(struct tx *t, struct unit_rng *r, uint32_t off)
{
	uint8_t head[128];
	uint32_t n, left = job.len - off, at = off;

	tx_init(t);
	n = headers(head, off, left, job.ip.id, job.seg.flags, true);
	memcpy(tx_prepend(t, n), head, n);
	t->l4_off = (uint16_t)(t->off + (job.eth ? ETH_HDR_BYTES : 0) + 20);
	t->csum = true;
	t->csum_offset = job.udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET;
	t->gso = job.udp ? TG_GSO_UDP4 : TG_GSO_TCP4;
	t->gso_size = (uint16_t)job.gso_size;
	for (unsigned i = 0; i < TX_BODY_SPANS && left; i++) {
		uint32_t take = i == TX_BODY_SPANS - 1 ? left : unit_below(r, left + 1);

		tx_add_body(t, job.body + at, take);
		at += take;
		left -= take;
	}
}

/* Completes what the device was asked to, in its own copy. */
static void device_csum(struct dev_frame *k)
{
	uint16_t field;

	if (!k->f.csum_partial)
		return;
	field = csum_finish(
		csum_add_scalar(k->bytes + k->f.csum_start, k->len - k->f.csum_start, 0));
	if (job.udp && field == 0)
		field = 0xffff;
	csum_field_set(k->bytes + k->f.csum_start + k->f.csum_offset, field);
}

static uint8_t wanted[BODY_MAX + 200];

START_TEST (segments_equal_the_reference) {
	static const uint32_t caps[] = {0, TG_CAP_CSUM};
	struct tg *s = world_core();
	struct unit_rng r;
	struct dev d;
	unsigned netif[2][2];

	dev_init(&d);
	unit_rng_start(&r, _i);
	for (unsigned c = 0; c < 2; c++) {
		netif[c][0] = world_netif(s, &d, TG_LINK_IP, caps[c], 65535);
		netif[c][1] = world_netif(s, &d, TG_LINK_ETHERNET, caps[c], 65535);
	}
	for (unsigned run = 0; run < 60; run++) {
		struct tx t;
		uint32_t off = 0, i = 0;

		job_random(&r);
		dev_clear(&d);
		job_tx(&t, &r, 0);
		ck_assert_int_eq(netif_transmit(s, &s->netif[netif[run % 2][job.eth]], &t), TX_OK);
		UNIT_CHECK(t.accepted == job.len);
		do {
			uint32_t len = min_u32(job.gso_size, job.len - off), n;

			n = reference(wanted, off, len, i, off + len == job.len);
			UNIT_CHECK(i < d.n && d.frame[i].f.gso == TG_GSO_NONE);
			UNIT_CHECK(d.frame[i].f.csum_partial == (run % 2 == 1));
			UNIT_CHECK(d.frame[i].f.hdr_bytes + len == n);
			device_csum(&d.frame[i]);
			UNIT_CHECK(d.frame[i].len == n && memcmp(d.frame[i].bytes, wanted, n) == 0);
			off += len;
			i++;
		} while (off < job.len);
		UNIT_CHECK(d.n == i);
	}
	dev_clear(&d);
	world_end(s);
}
END_TEST

START_TEST (capable_device_gets_the_super_frame) {
	struct tg *s = world_core();
	struct unit_rng r;
	struct dev d;
	unsigned n[2];

	dev_init(&d);
	unit_rng_start(&r, _i);
	n[0] = world_netif(s, &d, TG_LINK_IP, TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4, 65535);
	n[1] = world_netif(s, &d, TG_LINK_ETHERNET, TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4, 65535);
	for (unsigned run = 0; run < 60; run++) {
		struct tx t;
		uint32_t len;
		bool super;

		job_random(&r);
		dev_clear(&d);
		job_tx(&t, &r, 0);
		super = job.len > job.gso_size;
		ck_assert_int_eq(netif_transmit(s, &s->netif[n[job.eth]], &t), TX_OK);
		UNIT_CHECK(d.n == 1 && t.accepted == job.len && d.frame[0].f.csum_partial);
		UNIT_CHECK(d.frame[0].f.gso_size == (super ? job.gso_size : 0));
		UNIT_CHECK((d.frame[0].f.gso != TG_GSO_NONE) == super);
		device_csum(&d.frame[0]);
		len = reference(wanted, 0, job.len, 0, true);
		UNIT_CHECK(d.frame[0].len == len && memcmp(d.frame[0].bytes, wanted, len) == 0);
	}
	dev_clear(&d);
	world_end(s);
}
END_TEST

/* Whatever the device takes at a time, the sender goes on behind it, and the wire carries the whole
 * stream. */
START_TEST (busy_midway_tells_what_was_accepted) {
	struct tg *s = world_core();
	static uint8_t got[BODY_MAX];
	struct unit_rng r;
	struct dev d;
	unsigned n;

	dev_init(&d);
	unit_rng_start(&r, _i);
	n = world_netif(s, &d, TG_LINK_IP, 0, 65535);
	for (unsigned run = 0; run < 20; run++) {
		uint32_t off = 0, at = 0;

		job_random(&r);
		job.eth = false;
		job.udp = false;
		dev_clear(&d);
		while (off < job.len) {
			uint32_t room = unit_below(&r, 5), left = job.len - off;
			enum tx_result res;
			struct tx t;

			d.room = room;
			s->netif[n].busy = false;
			job_tx(&t, &r, off);
			res = netif_transmit(s, &s->netif[n], &t);
			UNIT_CHECK(res == (room ? TX_OK : TX_BUSY));
			UNIT_CHECK(t.accepted == min_u32(room * job.gso_size, left));
			/* Busy is busy until the next step, and nothing is offered. */
			if (room * job.gso_size < left) {
				d.attempts = 0;
				UNIT_CHECK(netif_transmit(s, &s->netif[n], &t) == TX_BUSY);
				UNIT_CHECK(d.attempts == 0);
			}
			off += t.accepted;
		}
		for (uint32_t i = 0; i < d.n; i++) {
			uint32_t len = d.frame[i].len - d.frame[i].f.hdr_bytes;

			UNIT_CHECK(tcp_get_seq(d.frame[i].bytes + 20) == job.seg.seq.v + at);
			memcpy(got + at, d.frame[i].bytes + d.frame[i].f.hdr_bytes, len);
			at += len;
		}
		UNIT_CHECK(at == job.len && memcmp(got, job.body, at) == 0);
	}
	dev_clear(&d);
	world_end(s);
}
END_TEST

START_TEST (span_sums_and_cuts) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (unsigned run = 0; run < 300; run++) {
		uint8_t b[400];
		struct tg_span in[4], out[4];
		uint32_t total = 0, off, len, n, at = 0;

		unit_bytes(&r, b, sizeof(b));
		for (unsigned i = 0; i < 4; i++) {
			in[i] = (struct tg_span){b + total, unit_below(&r, 100)};
			total += in[i].len;
		}
		UNIT_CHECK(csum_fold(span_csum(csum_add_wide, in, 4, 77)) ==
			   csum_fold(csum_add_scalar(b, total, 77)));
		off = unit_below(&r, total + 1);
		len = unit_below(&r, total - off + 1);
		n = span_cut(in, 4, off, len, out);
		for (uint32_t i = 0; i < n; i++) {
			UNIT_CHECK(out[i].base == b + off + at && out[i].len > 0);
			at += out[i].len;
		}
		UNIT_CHECK(at == len);
	}
}
END_TEST

/* A UDP checksum that comes out as 0 is sent as 0xffff: 0 means none. */
START_TEST (udp_checksum_is_never_zero) {
	uint8_t h[8] = {0};
	struct udp_hdr u = {0xff00, 0x00ff, 8, 0};

	udp_emit(h, &u);
	udp_set_csum(h, 0xffff - 8); /* as a pseudo-header that sums up to it */
	l4_finish_csum(csum_add_wide, h, 8, UDP_CSUM_OFFSET, NULL, 0);
	ck_assert_uint_eq(csum_field_get(h + 6), 0xffff);
}
END_TEST

static Suite *gso_suite(void)
{
	Suite *su = suite_create("gso");
	TCase *tc = tcase_create("gso");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, segments_equal_the_reference, 0, 5);
	tcase_add_loop_test(tc, capable_device_gets_the_super_frame, 0, 3);
	tcase_add_loop_test(tc, busy_midway_tells_what_was_accepted, 0, 3);
	tcase_add_loop_test(tc, span_sums_and_cuts, 0, 3);
	tcase_add_test(tc, udp_checksum_is_never_zero);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(gso_suite)
