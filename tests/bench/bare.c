/* The device without a stack: what can be moved through the TAP when TCP costs next to nothing. It
 * answers ARP and as much TCP as a lossless link needs, in one thread: a handshake, cumulative
 * ACKs, the window, back to the first unacknowledged octet on three duplicate ACKs.
 *
 *   bare [--plain] [--busy US]
 *
 * echo 7, discard 9, chargen 19, HTTP 80 (1 KiB to every request, keep-alive); octets are copied
 * once each way, as for an application. --plain: no offloads, checksums made and verified here.
 * Left out is everything that makes a stack: timers, reassembly, congestion control, states. A
 * yardstick, for the lossless link of the benchmarks and nothing else. */
#define _GNU_SOURCE
#include "bench_tap.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define ETH          14u
#define IP           20u
#define TCP          20u
#define HEADERS      (ETH + IP + TCP)
#define MSS          1460u
#define WSCALE       4u /* a window of 1 MB: more does not stay in the cache */
#define TEXT_MAX     64240u
#define BATCH_FRAMES 64u
#define ACK_FRAMES   8u /* of plain frames, an ACK for so many */
#define SYN_BYTES    8u /* MSS and window scale */
#define ISS          1000u

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* By the host's port; snd and rcv as in RFC 9293. */
struct conn {
	uint32_t rcv_nxt, snd_una, snd_nxt, snd_wnd;
	uint16_t port; /* the service; 0: none */
	uint8_t snd_wscale, dups;
	uint16_t owed;    /* frames not acknowledged yet */
	uint8_t http_end; /* octets of a request's end that have come */
};

struct segment {
	uint16_t from, to;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	const uint8_t *options;
	uint32_t options_bytes;
	const uint8_t *text;
	uint32_t n;
};

static struct conn conns[65536];
static uint16_t touched[BATCH_FRAMES]; /* host's ports of this batch */
static unsigned n_touched;
static uint8_t in[TAP_VNET_BYTES + TAP_FRAME_BYTES], frame[TAP_VNET_BYTES + TAP_FRAME_BYTES];
static uint8_t app[1u << 19], pattern[TEXT_MAX];
static char page[HTTP_BYTES + 128];
static uint32_t page_bytes;
static uint8_t host_mac[6];
static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
static bool plain;
static int fd;

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* Internet checksum's sum, in network order's arithmetic. */
static uint32_t sum(const uint8_t *p, size_t n, uint64_t s)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		uint32_t w;

		memcpy(&w, p + i, sizeof(w));
		v += w;
	}
	for (; v >> 16;)
		v = (v & 0xffff) + (v >> 16);
	/* a sum of octets in the other order is the sum in the other order [1071 2 (B)] */
	s += (v & 0xff) << 8 | v >> 8;
	for (; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	for (; s >> 16;)
		s = (s & 0xffff) + (s >> 16);
	return (uint32_t)s;
}

static void transmit(uint32_t bytes, uint32_t text)
{
	struct virtio_net_hdr h = {0};
	uint32_t skip = plain ? TAP_VNET_BYTES : 0;

	if (!plain && text != UINT32_MAX) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = ETH + IP;
		h.csum_offset = 16;
		h.hdr_len = HEADERS;
		h.gso_type = text > MSS ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE;
		h.gso_size = text > MSS ? MSS : 0;
	}
	memcpy(frame, &h, TAP_VNET_BYTES);
	while (write(fd, frame + skip, TAP_VNET_BYTES + bytes - skip) < 0 && errno == EAGAIN)
		continue;
}

/* One segment; text of n octets, or with SYN its options. */
static void send_segment(const struct conn *c, uint16_t to, uint32_t seq, uint8_t flags,
	const uint8_t *text, uint32_t n)
{
	uint8_t *f = frame + TAP_VNET_BYTES, *ip = f + ETH, *t = ip + IP;
	uint32_t head = flags & SYN ? TCP + SYN_BYTES : TCP, pseudo;

	memcpy(f, host_mac, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, 0x0800);
	memset(ip, 0, IP);
	ip[0] = 0x45;
	put16(ip + 2, IP + head + n);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 6;
	put32(ip + 12, TAP_STACK);
	put32(ip + 16, TAP_HOST);
	put16(ip + 10, ~sum(ip, IP, 0));
	memset(t, 0, head);
	put16(t, c->port);
	put16(t + 2, to);
	put32(t + 4, seq);
	put32(t + 8, c->rcv_nxt);
	t[12] = (uint8_t)(head << 2);
	t[13] = flags;
	put16(t + 14, 0xffff);
	if (flags & SYN) {
		put32(t + 20, 0x02040000u | MSS);
		put32(t + 24, 0x01030300u | WSCALE);
	}
	if (n)
		memcpy(t + head, text, n);
	pseudo = sum(ip + 12, 8, 6 + head + n);
	put16(t + 16, plain ? ~sum(t, head + n, pseudo) : pseudo);
	transmit(ETH + IP + head + n, head + n - TCP);
}

static void acknowledge(struct conn *c, uint16_t to)
{
	c->owed = 0;
	send_segment(c, to, c->snd_nxt, ACK, NULL, 0);
}

/* As much of the pattern as the window has room for. */
static void pump(struct conn *c, uint16_t to)
{
	uint32_t most = plain ? MSS : TEXT_MAX;

	for (unsigned i = 0; i < BATCH_FRAMES; i++) {
		uint32_t flight = c->snd_nxt - c->snd_una;
		uint32_t room = c->snd_wnd > flight ? c->snd_wnd - flight : 0;
		uint32_t n = room < most ? room : most;

		/* no silly pieces while something is in flight [9293 3.8.6.2.1] */
		if (n == 0 || (n < most && flight > 0 && n < c->snd_wnd / 2))
			return;
		send_segment(c, to, c->snd_nxt, ACK | PSH, pattern, n);
		c->snd_nxt += n;
		c->owed = 0;
	}
}

static void open_conn(struct conn *c, const struct segment *g)
{
	memset(c, 0, sizeof(*c));
	c->port = g->to;
	c->rcv_nxt = g->seq + 1;
	c->snd_una = ISS;
	c->snd_nxt = ISS + 1;
	c->snd_wnd = g->wnd;
	for (uint32_t i = 0; i + 1 < g->options_bytes && g->options[i];) {
		uint32_t kind = g->options[i], n = kind == 1 ? 1 : g->options[i + 1];

		if (kind == 3 && i + 2 < g->options_bytes && g->options[i + 2] <= 14)
			c->snd_wscale = g->options[i + 2];
		if (n == 0)
			break;
		i += n;
	}
	send_segment(c, g->from, ISS, SYN | ACK, NULL, 0);
}

static void take_ack(struct conn *c, const struct segment *g)
{
	bool dup = g->ack == c->snd_una && g->n == 0 && c->snd_nxt != c->snd_una &&
		   (uint32_t)g->wnd << c->snd_wscale == c->snd_wnd;

	if ((int32_t)(g->ack - c->snd_una) > 0 && (int32_t)(g->ack - c->snd_nxt) <= 0)
		c->snd_una = g->ack;
	c->snd_wnd = (uint32_t)g->wnd << c->snd_wscale;
	c->dups = dup ? (uint8_t)(c->dups + 1) : 0;
	if (c->dups == 3)
		c->snd_nxt = c->snd_una;
}

/* What was asked for has no body: a request ends with an empty line. */
static void answer(struct conn *c, const struct segment *g)
{
	static const char end[] = "\r\n\r\n";

	for (uint32_t i = 0; i < g->n; i++) {
		c->http_end = g->text[i] == end[c->http_end] ? c->http_end + 1 : g->text[i] == '\r';
		if (c->http_end < 4)
			continue;
		c->http_end = 0;
		send_segment(c, g->from, c->snd_nxt, ACK | PSH, (const uint8_t *)page, page_bytes);
		c->snd_nxt += page_bytes;
		c->owed = 0;
	}
}

static void take_text(struct conn *c, const struct segment *g)
{
	static size_t at;

	c->rcv_nxt += g->n;
	if (at + g->n > sizeof(app))
		at = 0;
	memcpy(app + at, g->text, g->n);
	if (c->port == PORT_ECHO) {
		for (uint32_t done = 0; done < g->n;) {
			uint32_t n = plain && g->n - done > MSS ? MSS : g->n - done;

			send_segment(c, g->from, c->snd_nxt, ACK | PSH, app + at + done, n);
			c->snd_nxt += n;
			done += n;
		}
	} else if (c->owed++ == 0) {
		touched[n_touched++] = g->from;
	}
	if (c->port == PORT_HTTP)
		answer(c, g);
	at += g->n;
	if (c->owed >= (plain ? ACK_FRAMES : 1))
		acknowledge(c, g->from);
}

static void input_tcp(const struct segment *g)
{
	struct conn *c = &conns[g->from];

	if (g->flags & SYN) {
		open_conn(c, g);
		return;
	}
	if (!c->port || c->port != g->to)
		return;
	if (g->flags & RST) {
		c->port = 0;
		return;
	}
	take_ack(c, g);
	if (g->seq != c->rcv_nxt) {
		acknowledge(c, g->from);
		return;
	}
	if (g->n)
		take_text(c, g);
	if (g->flags & FIN) {
		c->rcv_nxt++;
		send_segment(c, g->from, c->snd_nxt, ACK | FIN, NULL, 0);
		c->port = 0;
	} else if (c->port == PORT_CHARGEN) {
		pump(c, g->from);
	}
}

static void input_arp(const uint8_t *f, uint32_t n)
{
	uint8_t *o = frame + TAP_VNET_BYTES, *a = o + ETH;

	if (n < ETH + 28 || get16(f + ETH + 6) != 1 || get32(f + ETH + 24) != TAP_STACK)
		return;
	memcpy(host_mac, f + 6, 6);
	memcpy(o, host_mac, 6);
	memcpy(o + 6, mac, 6);
	put16(o + 12, 0x0806);
	memcpy(a, f + ETH, 8);
	put16(a + 6, 2);
	memcpy(a + 8, mac, 6);
	put32(a + 14, TAP_STACK);
	memcpy(a + 18, f + ETH + 8, 10);
	transmit(ETH + 28, UINT32_MAX);
}

static void input(const uint8_t *f, uint32_t n)
{
	const uint8_t *ip = f + ETH, *t = ip + IP;
	uint32_t total, head;
	struct segment g;

	if (n >= ETH && get16(f + 12) == 0x0806) {
		input_arp(f, n);
		return;
	}
	if (n < HEADERS || get16(f + 12) != 0x0800 || ip[0] != 0x45 || ip[9] != 6)
		return;
	total = get16(ip + 2);
	head = (uint32_t)t[12] >> 4 << 2;
	if (total + ETH > n || head < TCP || total < IP + head ||
		(plain && sum(t, total - IP, sum(ip + 12, 8, 6 + total - IP)) != 0xffff))
		return;
	g = (struct segment){(uint16_t)get16(t), (uint16_t)get16(t + 2), get32(t + 4), get32(t + 8),
		(uint16_t)get16(t + 14), t[13], t + TCP, head - TCP, t + head, total - IP - head};
	input_tcp(&g);
}

/* What waits at the device, up to a batch: how many frames. */
static unsigned drain(void)
{
	uint32_t skip = plain ? 0 : TAP_VNET_BYTES;
	unsigned n = 0;

	for (; n < BATCH_FRAMES; n++) {
		ssize_t k = read(fd, in, sizeof(in));

		if (k <= (ssize_t)skip)
			break;
		input(in + skip, (uint32_t)k - skip);
	}
	for (unsigned i = 0; i < n_touched; i++) {
		struct conn *c = &conns[touched[i]];

		if (c->port && c->owed)
			acknowledge(c, touched[i]);
	}
	n_touched = 0;
	return n;
}

int main(int argc, char **argv)
{
	uint64_t busy_us = 0, active_ns = 0;

	if (!tap_options(argc, argv, &plain, &busy_us)) {
		fputs("usage: bare [--plain] [--busy US]\n", stderr);
		return 2;
	}
	fd = tap_open(!plain);
	if (fd < 0)
		return 1;
	memset(pattern, '.', sizeof(pattern));
	page_bytes = (uint32_t)snprintf(page, sizeof(page),
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %u\r\n\r\n%.*s",
		HTTP_BYTES, (int)HTTP_BYTES, (const char *)pattern);
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (drain() == 0)
			tap_wait(fd, busy_us, active_ns, 1000);
		else if (busy_us)
			active_ns = now_ns();
	}
}
