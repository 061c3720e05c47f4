/* A frame's bytes as tools tell them: the headers by field, and a segment in packetdrill's
 * notation. */
#ifndef TAPGLASS_APPS_STEP_PACKET_H
#define TAPGLASS_APPS_STEP_PACKET_H

#include "tapglass.h"

#define PACKET_FIN 0x01
#define PACKET_SYN 0x02
#define PACKET_RST 0x04
#define PACKET_PSH 0x08
#define PACKET_ACK 0x10
#define PACKET_URG 0x20
#define PACKET_ECE 0x40
#define PACKET_CWR 0x80

/* Offsets are from the start of the frame. What is beyond the bytes that there are is 0. */
struct packet {
	const uint8_t *bytes;
	uint32_t here, total; /* bytes at hand, of the frame as a whole */
	enum tg_link link;
	uint16_t ether_type;
	bool ip, tcp, udp, icmp, arp; /* headers that are complete and of sane lengths */
	uint32_t ip_at, l4_at, text_at;
	struct tg_addr src, dst;
	uint8_t proto, ttl, tos;
	uint32_t seq, ack, text_bytes;
	uint16_t wnd, urg;
	uint8_t flags;
	const uint8_t *opts; /* TCP's */
	uint32_t opts_bytes;
	bool with_nops; /* packet_text tells NOP and EOL options, too */
};

void packet_read(
	struct packet *p, enum tg_link link, const uint8_t *bytes, uint32_t here, uint32_t total);
/* "S.", "F", "P."; "-" for none; returns buf. */
char *packet_flags(uint8_t flags, char buf[12]);
/* The flags of a pattern; false: not understood. */
bool packet_flags_parse(const char *text, uint8_t *out);
/* In packetdrill's notation; numbers are told relative to the initial ones of the sender and of
 * the receiver, and timestamps as they are. */
void packet_text(const struct packet *p, uint32_t isn, uint32_t peer_isn, char *buf, size_t cap);
/* Every header, field by field, with its bytes, on standard output. */
void packet_dissect(const struct packet *p);

#endif
