/* What the path tells a connection: marks of congestion (tcp_ecn.c) and how large its packets may
 * be (tcp_mtu.c). Part of tcp.h, which includes it. */
#ifndef TG_TCP_PATH_H
#define TG_TCP_PATH_H

#include "tcp/tcp.h"

/* tcp_ecn.c: explicit congestion notification [3168]. */
/* The SYN is to go again, or was answered by a reset. False: it had not been an ECN-setup one. */
bool tcp_ecn_fall_back(struct tg *s, struct tcp_conn *c);
/* A SYN or SYN-ACK came for a connection opened actively. */
void tcp_ecn_syn_in(struct tcp_conn *c, const struct tcp_rx *r);
/* Is the SYN r one that a listener agrees to? */
bool tcp_ecn_accepts(const struct tcp_rx *r);
/* Text of r was taken: its CE mark, its CWR. */
void tcp_ecn_text_in(struct tcp_conn *c, const struct tcp_rx *r);
/* An acceptable ACK that carries ECE. True: cwnd does not grow by it. */
bool tcp_ecn_ack_in(struct tcp_conn *c, const struct tcp_rx *r);
/* cwnd was reduced for loss: the peer is told [3168 6.1.2]. */
void tcp_ecn_reduced(struct tcp_conn *c);
/* Was cwnd reduced already for the window in flight? A loss in it does not reduce it again. */
bool tcp_ecn_in_window(const struct tcp_conn *c);
/* Marks a segment of the connection about to be sent: flags, and TOS of its datagram. */
void tcp_ecn_mark_out(
	struct tcp_conn *c, struct tcp_seg *g, uint32_t text_bytes, uint8_t how, uint8_t *tos);

/* tcp_mtu.c: how large segments are. */
/* Eff.snd.MSS [9293 MUST-16] from what is known now. */
void tcp_update_mss(struct tg *s, struct tcp_conn *c);
/* A router has no room for more than `mtu` bytes [1191 6.3]. */
void tcp_mtu_too_big(struct tg *s, struct tcp_conn *c, uint32_t mtu);
void tcp_mtu_established(struct tg *s, struct tcp_conn *c);
/* The retransmission timer expired; before tcp_loss_timeout. */
void tcp_mtu_timeout(struct tg *s, struct tcp_conn *c);
/* Is the next new text to go as a probe? Then *text_bytes of it, in one segment. */
enum mtu_advice { MTU_NO, MTU_WAIT, MTU_PROBE };
enum mtu_advice tcp_mtu_advise(struct tg *s, struct tcp_conn *c, uint32_t *text_bytes);
void tcp_mtu_sent(struct tg *s, struct tcp_conn *c, struct seq from, uint32_t text_bytes);
/* SND.UNA has advanced. */
void tcp_mtu_acked(struct tg *s, struct tcp_conn *c);
/* Recovery is about to begin. True: it was the probe alone; cwnd stays, and it goes again. */
bool tcp_mtu_lost(struct tg *s, struct tcp_conn *c);
void tcp_mtu_free(struct tg *s, struct tcp_conn *c);

#endif
