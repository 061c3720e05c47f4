/* State of the network layer and what its files tell one another. Nobody outside ip/ includes this.
 *
 * addr.c: our addresses, what kinds there are; route.c: routes, the choice of a path; pmtu.c: path
 * MTUs learnt; neigh.c: the neighbour cache; arp.c: ARP messages; ip4_in.c, reasm.c, icmp_in.c: the
 * way up; ip4_out.c, icmp_out.c: the way down. IPv4 addresses are host order in here. */
#ifndef TG_IP_PRIVATE_H
#define TG_IP_PRIVATE_H

#include "ip/ip.h"
#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

#define IP_ADDRS_MAX     64u
#define IP_ALIASES_MAX   32u /* addresses of 127/8 taken note of, among them */
#define IP_ROUTES_MAX    256u
#define IP_NEIGH_NONE    0xffffu
#define IP_NEIGHS_MAX    0xfff0u
#define IP_HELD_PKTS     4u         /* waiting for one neighbour [1122-L4] */
#define IP_HELD_BYTES    (1u << 20) /* waiting for all of them, charged by capacity */
#define IP_ID_COUNTERS   2048u
#define IP_PMTU_SETS     64u
#define IP_PMTU_WAYS     4u
#define IP_REASM_PIECES  256u              /* of one datagram */
#define IP_MTU_UNKNOWN   576u              /* [1122 3.3.3] without a route */
#define IP_ROUTE_DEAD_NS (60 * NS_PER_SEC) /* a gateway that did not answer is avoided */
#define ICMP_TOTAL_BYTES 576u              /* of an error message at most [1812 4.3.2.3] */

#define ARP_TRIES          3u
#define ARP_RETRY_NS       NS_PER_SEC        /* [1122-L2] */
#define ARP_FAILED_NS      (3 * NS_PER_SEC)  /* a failure is remembered */
#define ARP_PROBE_DELAY_NS (2 * NS_PER_SEC)  /* time for advice from above before we ask */
#define ARP_ANNOUNCE_NUM   2u                /* [5227 1.1] */
#define ARP_ANNOUNCE_NS    (2 * NS_PER_SEC)  /* [5227 1.1] */
#define ARP_DEFEND_NS      (10 * NS_PER_SEC) /* [5227 1.1] */

/* Flags of a path. */
#define IP_PATH_BCAST 0x1 /* to the link's broadcast address */
#define IP_PATH_MCAST 0x2 /* to the group's link address */
#define IP_PATH_NO_DF 0x4 /* the path MTU is below cfg.ip.min_pmtu: routers may fragment */

/* One of our addresses. */
struct ip_addr {
	uint32_t ip; /* 0: free */
	uint32_t mask;
	uint32_t bcast[3]; /* its networks' directed broadcasts; 0: none, as of an alias */
	uint16_t netif;
	uint8_t prefix_len;
	bool alias;             /* of 127/8, only taken note of */
	uint8_t announcements;  /* still to be sent */
	uint64_t may_defend_ns; /* not before [5227 2.4] */
	struct timer timer;     /* next announcement */
};

struct route {
	uint32_t dest, mask, gateway; /* gateway 0: on link */
	uint16_t netif, metric;
	uint8_t prefix_len;
	uint64_t dead_until_ns; /* its gateway did not answer [1122-G2] */
};

/* An entry of the ARP cache. */
struct neigh {
	struct hnode h;
	struct list node; /* on ip->by_state[state], oldest first */
	struct timer timer;
	struct list parked;              /* struct sender, while INCOMPLETE */
	struct tg_pkt *held, *held_tail; /* datagrams from the IP header on, while INCOMPLETE */
	uint64_t confirmed_ns;
	uint64_t may_ask_ns; /* no request before [1122-L2] */
	uint32_t ip;
	uint16_t netif, index;
	uint8_t state; /* enum tg_neigh_state, set by neigh_set_state alone */
	uint8_t tries; /* requests sent in this state */
	uint8_t n_held;
	uint8_t mac[6];
};

struct pmtu {
	uint32_t dst; /* 0: free */
	uint16_t mtu;
	bool no_df;
	uint64_t until_ns;
};

/* A fragment held. */
struct piece {
	struct piece *next;
	struct tg_pkt *pkt; /* data: its payload; net: its IP header */
	uint32_t off, end;
};

/* A datagram in pieces. */
struct reasm {
	struct hnode h;
	struct list node; /* on ip->reasms, oldest first */
	struct timer timer;
	struct piece *pieces; /* by offset, without overlap */
	uint32_t src, dst;
	uint16_t id;
	uint8_t proto, ecn; /* ecn: bit set of the codepoints seen */
	uint32_t n_pieces, have_bytes;
	uint32_t total_bytes; /* of the payload; 0: the last fragment is missing */
	uint32_t charge_bytes;
};

struct ip_state {
	uint32_t generation; /* of paths; never 0 */
	/* The last one to a neighbour on link, as long as its generation is this: many connections
	 * of one peer begin with the same question. */
	struct ip_path last_path;
	uint32_t last_src, last_dst;
	struct ip_addr addr[IP_ADDRS_MAX];
	uint32_t n_addrs;                  /* slots ever used */
	struct route route[IP_ROUTES_MAX]; /* by falling prefix length, then metric, then age */
	uint32_t n_routes;

	struct sipkey neigh_key;
	struct htab neigh_tab;
	struct neigh **neigh; /* by index */
	uint16_t *neigh_free; /* stack of free indices */
	uint32_t n_neighs_max, n_neigh_free;
	struct list by_state[TG_NEIGH_FAILED + 1];
	uint32_t held_bytes;

	struct pmtu pmtu[IP_PMTU_SETS][IP_PMTU_WAYS];
	uint32_t n_pmtus;
	struct timer pmtu_timer;

	struct htab reasm_tab;
	struct list reasms;
	uint32_t reasm_bytes;

	struct sipkey id_key;
	uint16_t id[IP_ID_COUNTERS];

	uint64_t icmp_millitokens, icmp_refill_ns;
};

/* ---- share.c ---- */
/* p is a datagram or a fragment for us (data at the payload, net at the header). True: it is for
 * another instance that shares our addresses, or nobody's business here any more: p is taken. */
bool share_passes(
	struct tg *s, struct netif *n, struct tg_pkt *p, const struct ip4_hdr *h, bool group);
/* p, an ARP message (data at its beginning), is to be known to all of them. */
void share_tell_all(struct tg *s, struct netif *n, const struct tg_pkt *p);

/* ---- addr.c ---- */
static inline bool ip4_is_mcast(uint32_t a)
{
	return a >> 28 == 0xe;
}
static inline bool ip4_is_reserved(uint32_t a)
{
	return a >> 28 == 0xf; /* class E, the limited broadcast among it */
}
static inline bool ip4_is_loop(uint32_t a)
{
	return a >> 24 == 127;
}
static inline bool ip4_is_zero_net(uint32_t a)
{
	return a >> 24 == 0;
}
/* IPv4, or any? */
bool ip_is_v4(const struct tg_ip *a);
bool ip4_is_ours(const struct tg *s, uint32_t a);
bool ip4_is_bcast(const struct tg *s, uint32_t a, uint16_t netif);
/* The entry for a, NULL if it is none of ours (or an address of 127/8 never heard of). */
struct ip_addr *ip4_addr_find(const struct tg *s, uint32_t a);
/* Our address to reach `hop` with through netif: one of its subnet, else of the interface, else
 * any; 0: none. */
uint32_t ip4_source_for(const struct tg *s, uint32_t hop, uint16_t netif);
/* Is a on the link of netif? */
bool ip4_on_link(const struct tg *s, uint32_t a, uint16_t netif);
/* Makes an entry for an address of 127/8, so that it has an index. */
void ip4_note_loop(struct tg *s, uint32_t a);
void addr_timer(struct tg *s, struct timer *t);
/* Another station uses a: announce ours, unless that was done lately [5227 2.4]. */
void addr_defend(struct tg *s, struct ip_addr *a);

/* ---- route.c ---- */
int route_add(struct tg *s, uint32_t dest, unsigned prefix_len, uint32_t gateway, uint16_t netif,
	unsigned metric);
void route_gateway_failed(struct tg *s, uint32_t gateway, uint16_t netif);
/* As ip_resolve. *src 0: to be chosen. */
int ip4_resolve(struct tg *s, uint32_t dst, uint32_t *src, uint16_t netif, bool bcast,
	struct ip_path *path);
void ip_paths_expire(struct tg *s);
uint32_t ip4_mask(unsigned prefix_len);

/* ---- pmtu.c ---- */
void pmtu_init(struct tg *s);
/* MTU towards dst, at most link_mtu; *no_df: it was announced below cfg.ip.min_pmtu. */
uint16_t pmtu_get(const struct tg *s, uint32_t dst, uint32_t link_mtu, bool *no_df);

/* ---- neigh.c ---- */
enum neigh_use { NEIGH_READY, NEIGH_WAIT, NEIGH_DEAD };
int neigh_init(struct tg *s);
struct neigh *neigh_find(const struct tg *s, uint16_t netif, uint32_t ip);
/* Found or made (INCOMPLETE, nobody asked yet). NULL: table or memory full. */
struct neigh *neigh_get(struct tg *s, uint16_t netif, uint32_t ip);
/* Something is to be sent to nb. READY: nb->mac is good; WAIT: park or hold; DEAD: it does not
 * answer. */
enum neigh_use neigh_use(struct tg *s, struct neigh *nb);
void neigh_park(struct neigh *nb, struct sender *x);
/* Takes p, a whole datagram with room for a link header in front, until nb is known. */
void neigh_hold(struct tg *s, struct neigh *nb, struct tg_pkt *p);
/* An ARP message told nb's address; solicited: a reply to us. */
void neigh_learn(struct tg *s, struct neigh *nb, const uint8_t mac[6], bool solicited);
void neigh_confirm(struct tg *s, struct neigh *nb);
void neigh_doubt(struct tg *s, struct neigh *nb);

/* ---- arp.c ---- */
void arp_input(struct tg *s, struct netif *n, struct tg_pkt *p);
/* Asks for ip, mac NULL: everybody, else only that station. */
void arp_ask(struct tg *s, struct netif *n, uint32_t ip, const uint8_t *mac);
void arp_announce(struct tg *s, struct netif *n, uint32_t ip);

/* ---- ip4_in.c, reasm.c ---- */
void ip4_input(struct tg *s, struct netif *n, struct tg_pkt *p);
/* p: a fragment, data at its payload, net at its IP header. The whole datagram if p completed it
 * (data at the payload), else NULL, and p has had its verdict. */
struct tg_pkt *reasm_input(struct tg *s, struct tg_pkt *p, const struct ip4_hdr *h);
void reasm_timer(struct tg *s, struct timer *t);

/* ---- icmp_in.c, icmp_out.c ---- */
void icmp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i);
/* Reports an error about the datagram d (its first n bytes, from the IP header on; pkt_flags:
 * PKT_GROUP, PKT_BCAST of its frame) with type, code and so on of m, unless RFC 1122 3.2.2 or the
 * rate forbids. */
void icmp_report(struct tg *s, const uint8_t *d, uint32_t n, uint8_t pkt_flags, struct icmp_msg *m);
void icmp_echo_reply(struct tg *s, const struct icmp_msg *request, const struct ip_info *i);
void icmp_trace(struct tg *s, const struct icmp_msg *m, uint32_t peer, uint16_t netif, bool out);
void icmp_out_init(struct tg *s);

/* ---- ip4_out.c ---- */
/* Sends a datagram that was held, p->data at its IP header. Takes p. */
void ip4_send_held(struct tg *s, struct neigh *nb, struct tg_pkt *p);

#endif
