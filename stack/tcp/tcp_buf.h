/* Buffers that find their size: see tcp_buf.c. */
#ifndef TG_TCP_BUF_H
#define TG_TCP_BUF_H

#include "base/seq.h"
#include "core/core.h"

struct tcp_conn;
struct tcp_rx;

/* What the receiver measures. Times: us, modulo 2^32. */
struct tcp_rcv_rounds {
	uint32_t rtt_us;     /* round trip as seen by who only receives; 0: not known yet */
	struct seq edge;     /* without timestamps: a round ends when RCV.NXT gets here */
	uint32_t edge_us;    /* ... and began then */
	struct seq taken;    /* what the user had taken when this round trip began */
	uint32_t taken_us;   /* ... which was then */
	uint32_t most_bytes; /* most that was taken in one round trip */
};

enum tcp_memory { TCP_MEMORY_PLENTY, TCP_MEMORY_PRESSURE, TCP_MEMORY_SHORT };
/* How the instance's memory in use stands to tcp.mem_pressure_bytes and tcp.mem_high_bytes. */
enum tcp_memory tcp_memory_level(const struct tg *s);

/* Shift to offer [7323 2.3], for the largest window that the buffer may get. */
uint8_t tcp_rcv_wscale(const struct tg *s, const struct tcp_conn *c);
void tcp_buf_established(const struct tg *s, struct tcp_conn *c);
/* Text arrived (before RCV.NXT moves). */
void tcp_buf_text_in(struct tcp_conn *c, const struct tcp_rx *r);
/* The user took text. */
void tcp_buf_text_taken(struct tg *s, struct tcp_conn *c);
/* Text was acknowledged: cwnd may have changed. */
void tcp_buf_acked(struct tg *s, struct tcp_conn *c);

#endif
