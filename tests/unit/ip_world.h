/* A little world for tests of the network layer: an instance with one Ethernet interface
 * (10.0.0.2/24, default route by 10.0.0.1), a device that collects what is sent, a transport
 * (protocol 253) that collects what arrives, and frames made by hand. */
#ifndef TG_IP_WORLD_H
#define TG_IP_WORLD_H

#include "ip/ip.h"
#include "unit.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

#define IW_PROTO  253
#define IW_FRAMES 1024u
#define IW_US     0x0a000002u /* 10.0.0.2 */
#define IW_PEER   0x0a000001u /* 10.0.0.1 */
#define IW_MS     1000000ull
#define IW_SEC    1000000000ull

struct iw_frame {
	uint8_t *b;
	uint32_t len;
	uint16_t gso_size, csum_start, csum_offset;
	bool csum_partial;
};

struct iw {
	struct tg *s;
	uint64_t now_ns;
	unsigned netif;
	struct iw_frame out[IW_FRAMES];
	unsigned n_out;
	unsigned room; /* frames that the device takes before it is busy */

	/* Received by the transport. */
	unsigned n_in;
	struct ip_info info;
	uint8_t data[65536];
	uint32_t bytes;
	uint8_t csum;

	/* Errors told to the transport; it answers error_known. */
	unsigned n_errors;
	struct ip_error error;
	bool error_known;

	/* The raw hook. */
	unsigned n_raw;
	bool raw_takes;

	/* What iw_send sends. */
	struct sender sender;
	struct ip_flow flow;
	struct tx tx;
	enum tx_result result;
	unsigned n_turns;
};

extern const uint8_t iw_mac_us[6], iw_mac_peer[6], iw_mac_bcast[6];

/* cfg NULL: the default one. */
struct iw *iw_new(const struct tg_config *cfg, bool announce);
void iw_config(struct tg_config *c);
/* Also checks that frames in = delivered + dropped. */
void iw_free(struct iw *w);
void iw_forget(struct iw *w); /* frames collected so far */
void iw_step(struct iw *w, uint64_t ns);

void iw_frame_in(struct iw *w, const void *frame, uint32_t len);
/* Eth header in front; dst NULL: us. */
void iw_eth_in(struct iw *w, const uint8_t *dst, uint16_t type, const void *body, uint32_t len);
/* h: the fields that matter, the lengths are filled in unless set. */
void iw_ip_in(struct iw *w, const uint8_t *dst, struct ip4_hdr h, const void *body, uint32_t len);
void iw_arp_in(struct iw *w, unsigned op, const uint8_t sha[6], uint32_t spa, uint32_t tpa);
/* Peer 10.0.0.1 (or another) becomes known. */
void iw_learn(struct iw *w, uint32_t ip, const uint8_t mac[6]);
/* An ICMP message of `type` from the peer. */
void iw_icmp_in(struct iw *w, const struct icmp_msg *m, struct ip4_hdr h);

/* The instance's neighbour row for ip; state TG_NEIGH_FREE if there is none. */
struct tg_arp_row iw_neigh(struct iw *w, uint32_t ip);
/* Number of collected frames with this EtherType. */
unsigned iw_count(const struct iw *w, uint16_t type);
/* The i-th collected ARP message. */
struct arp_msg iw_arp_out(const struct iw *w, unsigned i);
/* Header of the i-th collected IPv4 datagram; *body its payload. */
struct ip4_hdr iw_ip_out(const struct iw *w, unsigned i, const uint8_t **body);

/* A flow to dst of the test transport, DF. */
struct ip_flow iw_flow(uint32_t src, uint32_t dst);
/* Hands bytes to ip_output in a sender's turn; TX_BUSY and woken senders try again in later steps.
 */
enum tx_result iw_send(struct iw *w, const struct ip_flow *f, const void *data, uint32_t len);

/* Drops and discards so far of one reason. */
uint64_t iw_drops(const struct iw *w, enum tg_drop d);
uint64_t iw_discards(const struct iw *w, enum tg_drop d);

#endif
