/* lwIP behind the same TAP, as the benchmarks' peer: Debian's liblwip, its raw interface, all in
 * one thread that holds the core's lock while it works (the library is built with threads; its own
 * thread only runs timers).
 *
 *   lwip_host [--busy US]
 *
 * TCP: echo, discard, chargen, HTTP (1 KiB to every request, keep-alive). UDP: discard, its count,
 * datagrams on request (bench.h). Frames are read into the pbuf they stay in. What the library was
 * built with limits it: MSS 1,460, windows and send buffers of 64 KB, no offloads, checksums in
 * software. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>

#include "bench.h"
#include "bench_tap.h"

#define BATCH_FRAMES 64
#define FRAME_BYTES  (14u + TAP_MTU)

static struct netif netif;
static struct pbuf *spare; /* what the next frame is read into */
static uint64_t sunk;
static int fd;
static char pattern[65536];
static char page[HTTP_BYTES + 256];
static size_t page_bytes;

static err_t link_output(struct netif *n, struct pbuf *p)
{
	(void)n;
	/* the library makes one pbuf of each frame (LWIP_NETIF_TX_SINGLE_PBUF); a chain is put
	 * together here */
	if (p->next) {
		static uint8_t whole[FRAME_BYTES];
		u16_t bytes = pbuf_copy_partial(p, whole, sizeof(whole), 0);

		return write(fd, whole, bytes) == bytes ? ERR_OK : ERR_IF;
	}
	return write(fd, p->payload, p->len) == p->len ? ERR_OK : ERR_IF;
}

static err_t link_init(struct netif *n)
{
	static const u8_t mac[6] = {2, 0, 0, 0, 0, 2};

	n->name[0] = 't';
	n->name[1] = 'p';
	n->mtu = TAP_MTU;
	n->hwaddr_len = sizeof(mac);
	memcpy(n->hwaddr, mac, sizeof(mac));
	n->flags =
		NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	n->output = etharp_output;
	n->linkoutput = link_output;
	return ERR_OK;
}

/* ---- Streams ---- */

static err_t finish(struct tcp_pcb *pcb)
{
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	if (tcp_close(pcb) == ERR_OK)
		return ERR_OK;
	tcp_abort(pcb);
	return ERR_ABRT;
}

static err_t discard_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (!p)
		return finish(pcb);
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static err_t echo_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (!p)
		return finish(pcb);
	if (tcp_sndbuf(pcb) < p->tot_len)
		return ERR_MEM; /* offered again */
	for (struct pbuf *q = p; q; q = q->next) {
		if (tcp_write(pcb, q->payload, q->len, TCP_WRITE_FLAG_COPY) != ERR_OK) {
			tcp_abort(pcb);
			return ERR_ABRT;
		}
	}
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	tcp_output(pcb);
	return ERR_OK;
}

static void pump(struct tcp_pcb *pcb)
{
	tcpwnd_size_t room;

	while ((room = tcp_sndbuf(pcb)) >= TCP_MSS) {
		u16_t n = (u16_t)(room > 0xffff ? 0xffff : room);

		n = (u16_t)(n - n % TCP_MSS);
		if (tcp_write(pcb, pattern, n, 0) != ERR_OK)
			break;
	}
	tcp_output(pcb);
}

static err_t chargen_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
	(void)arg;
	(void)n;
	pump(pcb);
	return ERR_OK;
}

static err_t echo_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	tcp_nagle_disable(pcb);
	tcp_recv(pcb, echo_recv);
	return ERR_OK;
}

static err_t discard_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	tcp_recv(pcb, discard_recv);
	return ERR_OK;
}

static err_t chargen_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	tcp_recv(pcb, discard_recv);
	tcp_sent(pcb, chargen_sent);
	pump(pcb);
	return ERR_OK;
}

/* How many requests end in what came; what is known of an end that is not complete is kept in
 * *state. */
static unsigned requests(const struct pbuf *p, uintptr_t *state)
{
	static const char end[] = "\r\n\r\n";
	unsigned n = 0;

	for (; p; p = p->next) {
		const char *at = p->payload;

		for (u16_t i = 0; i < p->len; i++) {
			*state = at[i] == end[*state] ? *state + 1 : at[i] == '\r';
			n += *state == 4;
			*state &= 3;
		}
	}
	return n;
}

static err_t http_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	uintptr_t state = (uintptr_t)arg;

	(void)err;
	if (!p)
		return finish(pcb);
	for (unsigned n = requests(p, &state); n > 0; n--) {
		if (tcp_write(pcb, page, (u16_t)page_bytes, 0) != ERR_OK) {
			tcp_abort(pcb);
			return ERR_ABRT;
		}
	}
	tcp_arg(pcb, (void *)state);
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	tcp_output(pcb);
	return ERR_OK;
}

static err_t http_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	tcp_nagle_disable(pcb);
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, http_recv);
	return ERR_OK;
}

/* ---- Datagrams ---- */

static void sink_recv(
	void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	(void)arg;
	(void)pcb;
	(void)from;
	(void)port;
	sunk++;
	pbuf_free(p);
}

static void send_copy(
	struct udp_pcb *pcb, const void *data, u16_t n, const ip_addr_t *to, u16_t port)
{
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, n, PBUF_RAM);

	if (!p)
		return;
	memcpy(p->payload, data, n);
	udp_sendto(pcb, p, to, port);
	pbuf_free(p);
}

static void count_recv(
	void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	char text[32];

	(void)arg;
	pbuf_free(p);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)sunk);
	send_copy(pcb, text, (u16_t)strlen(text), from, port);
}

static void source_recv(
	void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	struct flood_ask ask;
	uint64_t end;

	(void)arg;
	if (flood_ask_get(&ask, p->payload, p->len)) {
		end = now_ns() + (uint64_t)ask.duration_ms * 1000000u;
		while (now_ns() < end) {
			for (int i = 0; i < BATCH_FRAMES; i++)
				send_copy(pcb, pattern, ask.dgram_bytes, from, port);
		}
	}
	pbuf_free(p);
}

/* ---- Start and loop ---- */

static void listen_on(u16_t port, tcp_accept_fn accept)
{
	struct tcp_pcb *pcb = tcp_new();

	if (!pcb || tcp_bind(pcb, IP4_ADDR_ANY, port) != ERR_OK ||
		!(pcb = tcp_listen_with_backlog(pcb, 255))) {
		fputs("lwip_host: listen failed\n", stderr);
		exit(1);
	}
	tcp_accept(pcb, accept);
}

static void receive_on(u16_t port, udp_recv_fn fn)
{
	struct udp_pcb *pcb = udp_new();

	if (!pcb || udp_bind(pcb, IP4_ADDR_ANY, port) != ERR_OK) {
		fputs("lwip_host: bind failed\n", stderr);
		exit(1);
	}
	udp_recv(pcb, fn, NULL);
}

static void start(void *arg)
{
	ip4_addr_t ip, mask, gw;

	(void)arg;
	IP4_ADDR(&ip, 192, 0, 2, 2);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	IP4_ADDR(&gw, 192, 0, 2, 1);
	netif_add(&netif, &ip, &mask, &gw, NULL, link_init, ethernet_input);
	netif_set_default(&netif);
	netif_set_up(&netif);
	listen_on(PORT_ECHO, echo_accept);
	listen_on(PORT_DISCARD, discard_accept);
	listen_on(PORT_CHARGEN, chargen_accept);
	listen_on(PORT_HTTP, http_accept);
	receive_on(PORT_DISCARD, sink_recv);
	receive_on(PORT_UDP_COUNT, count_recv);
	receive_on(PORT_UDP_SOURCE, source_recv);
	puts("ready");
	fflush(stdout);
}

/* What waits at the device, up to a batch: how many frames. */
static int drain(void)
{
	int n = 0;

	for (; n < BATCH_FRAMES; n++) {
		ssize_t k;

		if (!spare)
			spare = pbuf_alloc(PBUF_RAW, FRAME_BYTES, PBUF_RAM);
		if (!spare)
			break;
		k = read(fd, spare->payload, FRAME_BYTES);
		if (k <= 0)
			break;
		spare->len = spare->tot_len = (u16_t)k;
		if (netif.input(spare, &netif) != ERR_OK)
			pbuf_free(spare);
		spare = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	uint64_t busy_us = 0, active_ns = 0;
	bool plain = true;

	if (!tap_options(argc, argv, &plain, &busy_us)) {
		fputs("usage: lwip_host [--busy US]\n", stderr);
		return 2;
	}
	fd = tap_open(false);
	if (fd < 0)
		return 1;
	memset(pattern, '.', sizeof(pattern));
	page_bytes = (size_t)snprintf(page, sizeof(page),
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %u\r\n\r\n%.*s",
		HTTP_BYTES, (int)HTTP_BYTES, pattern);
	tcpip_init(start, NULL);
	for (;;) {
		int n;

		LOCK_TCPIP_CORE();
		n = drain();
		UNLOCK_TCPIP_CORE();
		if (n == 0)
			tap_wait(fd, busy_us, active_ns, 1000);
		else if (busy_us)
			active_ns = now_ns();
	}
}
