/* Frames beyond 64 KB (TG_CAP_BIG4): what their headers say, that the text in them is all of it,
 * and when they are not sent. */
#include "tcp_support.h"

#include "base/be.h"

#define MSS   1448u
#define BYTES 500000u

static struct tcp_world *w;
static uint8_t text[BYTES], got[BYTES];

static void setup(void)
{
	w = tw_new(NULL);
	for (uint32_t i = 0; i < BYTES; i++)
		text[i] = (uint8_t)(i * 2654435761u >> 24);
}

static void teardown(void)
{
	tw_end(w);
}

/* Established, with room for all of the text, by a device that has `caps` too. */
static void establish(uint32_t caps, uint32_t cwnd)
{
	struct tcp_seg g;

	w->s->netif[w->netif].c.caps |= caps;
	w->syn_opts = tw_all_opts();
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	g = tw_seg(w);
	tw_in(w, &g, NULL, 0); /* a window of 8 MB */
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_SO_SNDBUF, 1 << 20, w->now_ns), 0);
	w->c->cc.cwnd = cwnd;
	w->c->cc.ssthresh = cwnd;
	ck_assert_uint_eq(w->c->mss, MSS);
}

/* One frame, k: at most `most` bytes of IP. Its text goes to got; its bytes are returned. */
static uint32_t check_frame(const struct dev_frame *k, struct seq first, uint32_t most)
{
	uint32_t text_bytes = k->len - k->f.hdr_bytes;
	struct tcp_seg g;
	struct ip4_hdr ip;

	ck_assert_uint_le(k->len, most);
	ck_assert(ip4_parse_quoted(k->bytes, k->len, &ip));
	ck_assert_uint_eq(csum_fold(csum_add_scalar(k->bytes, IP4_HDR_BYTES, 0)), 0xffff);
	ck_assert_uint_eq(ip.total_bytes, k->len > IP4_MAX_BYTES ? 0 : k->len);
	ck_assert(ip.df && ip.proto == IP_PROTO_TCP);
	ck_assert_int_eq(
		tcp_parse(k->bytes + IP4_HDR_BYTES, k->len - IP4_HDR_BYTES, &g), TG_DROP_NONE);
	ck_assert(k->f.gso == TG_GSO_TCP4 && k->f.gso_size == MSS && k->f.csum_partial);
	/* the pseudo-header's length has 32 bits here */
	ck_assert_uint_eq(be16_load(k->bytes + k->f.csum_start + k->f.csum_offset),
		csum_fold(ip4_pseudo_sum(TW_US, TW_PEER, IP_PROTO_TCP, k->len - IP4_HDR_BYTES)));
	memcpy(got + seq_dist(g.seq, first), k->bytes + k->f.hdr_bytes, text_bytes);
	return text_bytes;
}

/* Sends the text; the largest frame of it. */
static uint32_t send_all(uint32_t most)
{
	struct seq first = w->c->snd.nxt;
	uint32_t from = w->dev.n, sum = 0, largest = 0;

	memset(got, 0, sizeof(got));
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, BYTES, 0, w->now_ns), BYTES);
	tg_step(w->s, w->now_ns);
	for (uint32_t i = from; i < w->dev.n; i++) {
		sum += check_frame(&w->dev.frame[i], first, most);
		largest = max_u32(largest, w->dev.frame[i].len);
	}
	ck_assert_uint_ge(sum, BYTES - MSS); /* Nagle may keep the last */
	ck_assert_mem_eq(got, text, sum);
	return largest;
}

START_TEST (test_big) {
	establish(TG_CAP_BIG4, 8u << 20);
	ck_assert_uint_gt(send_all(TG_BIG_BYTES), TG_BIG_BYTES - MSS - 120);
}
END_TEST

START_TEST (test_not_without_the_device) {
	establish(0, 8u << 20);
	ck_assert_uint_gt(send_all(IP4_MAX_BYTES), IP4_MAX_BYTES - MSS - 120);
}
END_TEST

/* Four fit the congestion window, so that not every one waits for the last one's ACK. */
START_TEST (test_quarter_of_cwnd) {
	establish(TG_CAP_BIG4, 600000);
	ck_assert_uint_gt(send_all(150052), 150000 - MSS);
}
END_TEST

/* ... and the largest window that the peer has ever offered. */
START_TEST (test_quarter_of_the_window) {
	establish(TG_CAP_BIG4, 8u << 20);
	w->c->snd.max_wnd = 400000;
	ck_assert_uint_gt(send_all(100052), 100000 - MSS);
	ck_assert_uint_eq(tcp_frame_text(w->s, w->c), 100000 - 100000 % MSS);
	w->c->snd.max_wnd = 1000;
	ck_assert_uint_eq(tcp_frame_text(w->s, w->c), TCP_FRAME_MAX - TCP_FRAME_MAX % MSS);
}
END_TEST

/* One that is lost goes again in as many as the window has room for. */
START_TEST (test_again) {
	struct seq first;
	struct tcp_range *r;
	uint32_t from, bytes, at, sum = 0;

	establish(TG_CAP_BIG4, 8u << 20);
	first = w->c->snd.nxt;
	send_all(TG_BIG_BYTES);
	from = w->dev.n;
	memset(got, 0, sizeof(got));
	r = list_entry(w->c->tx->ranges.next->next, struct tcp_range, node);
	bytes = range_bytes(r);
	at = seq_dist(r->start, first);
	ck_assert_uint_gt(bytes, IP4_MAX_BYTES);
	range_mark(w->c, r, RANGE_LOST, 0);
	w->c->recovery = REC_RECOVERY;
	w->c->rexmit_now = true;
	tcp_want_output(w->s, w->c);
	tg_step(w->s, w->now_ns);
	for (uint32_t i = from; i < w->dev.n; i++)
		sum += check_frame(&w->dev.frame[i], first, TG_BIG_BYTES);
	ck_assert(sum > MSS && sum <= bytes && sum % MSS == 0);
	ck_assert_mem_eq(got + at, text + at, sum);
	ck_assert_uint_eq(w->c->tx->retrans_bytes, sum);
}
END_TEST

/* A device that cannot cut cannot cut large ones. */
START_TEST (test_needs_tso) {
	struct dev d;
	unsigned n;

	dev_init(&d);
	n = world_netif(w->s, &d, TG_LINK_IP, TG_CAP_CSUM | TG_CAP_BIG4, 1500);
	ck_assert_uint_eq(w->s->netif[n].c.caps, TG_CAP_CSUM);
	n = world_netif(w->s, &d, TG_LINK_IP, TG_CAP_TSO4 | TG_CAP_BIG4, 1500);
	ck_assert_uint_eq(w->s->netif[n].c.caps, 0);
	establish(0, 8u << 20);
}
END_TEST

static Suite *tcp_big_suite(void)
{
	Suite *suite = suite_create("tcp big");
	TCase *t = tcase_create("big");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_big);
	tcase_add_test(t, test_not_without_the_device);
	tcase_add_test(t, test_quarter_of_cwnd);
	tcase_add_test(t, test_quarter_of_the_window);
	tcase_add_test(t, test_again);
	tcase_add_test(t, test_needs_tso);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_big_suite)
