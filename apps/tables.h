/* The tables of an instance as JSON: the same for the command line and for whoever asks over HTTP.
 */
#ifndef TAPGLASS_APPS_TABLES_H
#define TAPGLASS_APPS_TABLES_H

#include <json-c/json.h>

#include "tapglass_host.h"
#include "tapglass_inspect.h"

#define TABLE_ROWS_MAX 100000u

/* The name of a network interface. */
const char *tables_ifname(
	const struct tg_host *h, const struct tg *s, unsigned netif, char buf[16]);
/* What the sender of a connection waits for: "app" (more bytes to send), "cwnd", "rwnd", "nagle"
 * (an acknowledgment, for a segment that is not full), "none". */
const char *tables_why(const struct tg_tcp_info *i);
/* "ESTAB", "SYN-RECV": ss's words. */
const char *tables_state(const struct tg_sock_row *row);
/* "tcp", "udp", "raw" */
const char *tables_type(const struct tg_sock_row *row);
const char *tables_neigh_state(uint8_t state);
/* "TcpInSegs" of "tcp_in_segs". */
char *tables_mib_name(const char *name, char buf[40]);

/* "on", "keepalive": ss's words; "" for none. */
const char *tables_timer(const struct tg_sock_row *row);

/* Each is the caller's. keep (may be NULL: all) chooses rows; most: so many are given, the rest is
 * counted. */
struct json_object *tables_socks_json(const struct tg *s, uint64_t most,
	bool (*keep)(const void *arg, const struct tg_sock_row *row), const void *arg);
/* The same of one instance of several, added to what tables_socks_json made for none or some of the
 * others (*top NULL: begins it); queue: its number, told in each row. */
void tables_socks_add(struct json_object **top, const struct tg *s, unsigned queue, uint64_t most,
	bool (*keep)(const void *arg, const struct tg_sock_row *row), const void *arg);
struct json_object *tables_arp_json(const struct tg_host *h, const struct tg *s);
struct json_object *tables_route_json(const struct tg_host *h, const struct tg *s);
/* all: also counters that are 0. The system calls are those of h, of the link netif first of all; h
 * may be NULL. */
struct json_object *tables_stat_json(
	const struct tg_host *h, const struct tg *s, int netif, bool all);
/* Of counters that are sums over several instances; memory is left out. */
struct json_object *tables_counters_json(const struct tg_counters *c, bool all);
/* Adds c to sum. */
void tables_counters_add(struct tg_counters *sum, const struct tg_counters *c);

#endif
