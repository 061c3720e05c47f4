/* Changing or reading single fields of headers that are complete: what software segmentation and
 * checksum completion (core/gso.c) and demultiplexing of quoted headers need. Pure functions.
 * Clauses: RFC 791 3.1, RFC 768, RFC 9293 3.1 (layouts), RFC 1071 (checksum). */
#ifndef TG_WIRE_PATCH_H
#define TG_WIRE_PATCH_H

#include "base/csum.h"

/* Of the checksum field within the transport's header, bytes. */
#define TCP_CSUM_OFFSET 16u
#define UDP_CSUM_OFFSET 6u

/* Version of the IP header at b, 0 if there is no byte. */
uint8_t ip_get_version(const uint8_t *b, uint32_t len);
/* Identification of the IPv4 header at b (20 bytes at least). */
uint16_t ip4_get_id(const uint8_t *b);
/* Sets total length and identification and computes the header checksum anew. b: a whole IPv4
 * header, options included. */
void ip4_patch(uint8_t *b, uint16_t total_bytes, uint16_t id);
/* Marks an IPv4 header for congestion, checksum included; false: it is not ECT [3168 5]. */
bool ip4_mark_ce(uint8_t *b);

/* The checksum field at b, host order. */
uint16_t csum_field_get(const uint8_t *b);
void csum_field_set(uint8_t *b, uint16_t v);

/* Sequence number and flags (TCP_FIN ...) of the TCP header at b. */
uint32_t tcp_get_seq(const uint8_t *b);
uint8_t tcp_get_flags(const uint8_t *b);
/* Sets the length field of the UDP header at b. */
void udp_set_bytes(uint8_t *b, uint16_t bytes);
/* Source and destination port from the first 4 bytes of a TCP or UDP header, host order. */
void ports_get(const uint8_t *b, uint16_t *src, uint16_t *dst);

#endif
