/* TCP header and options (RFC 9293 3.1, 3.2; RFC 7323 2, 3; RFC 2018 2, 3) <-> host-order struct.
 * Pure functions. Left out: TCP Fast Open, authentication and MD5 options are skipped as unknown.
 */
#ifndef TG_WIRE_TCP_H
#define TG_WIRE_TCP_H

#include "base/csum.h"
#include "base/seq.h"
#include "tapglass_inspect.h"

#define TCP_HDR_BYTES      20u
#define TCP_HDR_MAX_BYTES  60u
#define TCP_OPTS_MAX_BYTES 40u
#define TCP_SACK_MAX       4u
#define TCP_WSCALE_MAX     14u

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

#define TCP_HAS_MSS       0x01
#define TCP_HAS_WSCALE    0x02
#define TCP_HAS_SACK_PERM 0x04
#define TCP_HAS_SACK      0x08
#define TCP_HAS_TS        0x10

struct tcp_sack_block {
	struct seq start, end; /* [start, end) */
};

struct tcp_opts {
	uint8_t has;    /* TCP_HAS_* */
	uint8_t wscale; /* as received, may exceed 14 */
	uint16_t mss;
	uint32_t tsval, tsecr;
	uint8_t n_sack;
	struct tcp_sack_block sack[TCP_SACK_MAX];
};

/* A segment in the RFC's words. */
struct tcp_seg {
	struct seq seq; /* SEG.SEQ */
	struct seq ack; /* SEG.ACK */
	uint32_t len;   /* SEG.LEN: text and one each for SYN and FIN */
	uint32_t text_bytes;
	uint16_t wnd; /* SEG.WND as in the header, unscaled, unsigned (MUST-1) */
	uint16_t up;  /* SEG.UP */
	uint16_t src_port, dst_port;
	uint8_t flags;     /* TCP_FIN ... TCP_CWR */
	uint8_t hdr_bytes; /* options included */
	struct tcp_opts opts;
};

/* len: header, options and text. TG_DROP_NONE, TG_DROP_TCP_SHORT, TG_DROP_TCP_OFFSET (data offset
 * below 5 or beyond len), TG_DROP_TCP_OPTIONS (a length of 0, 1 or past the header: MUST-7).
 * Options at any alignment, unknown ones skipped, a known one with a wrong length ignored, the last
 * of a repeated one counts. What an option means in this kind of segment is not judged here: MSS,
 * window scale and SACK-permitted are reported in a segment without SYN too. On a drop g may be
 * half filled. */
enum tg_drop tcp_parse(const uint8_t *b, uint32_t len, struct tcp_seg *g);
/* Ports and sequence number (the rest is zero) from at least 8 bytes of a quoted header (ICMP
 * errors). */
void tcp_parse_quoted(const uint8_t b[8], struct tcp_seg *g);
/* Bytes that tcp_emit writes for g: 20 and the options, padded to a multiple of 4. As many SACK
 * blocks as n_sack says; the caller keeps the sum within 40 (3 with timestamps). */
uint32_t tcp_hdr_bytes(const struct tcp_opts *o);
/* Writes header and options with a zero checksum; returns the bytes (tcp_hdr_bytes). Taken from g:
 * ports, seq, ack, flags, wnd, up and opts. Layout as common stacks do it: MSS, SACK-permitted + TS
 * (a lone one behind NOP NOP), NOP WS, NOP NOP SACK: whole words each, so no padding follows
 * (MUST-69). */
uint32_t tcp_emit(uint8_t *b, const struct tcp_seg *g);
void tcp_set_csum(uint8_t *b, uint16_t field);
uint16_t tcp_get_csum(const uint8_t *b);
/* Software segmentation of a large frame (core/gso): overwrites sequence number and flags of a
 * copied header, nothing else; the checksum field stays for tcp_set_csum. */
void tcp_set_seq_flags(uint8_t *b, uint32_t seq, uint8_t flags);

#endif
