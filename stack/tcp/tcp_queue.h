/* What a connection has received: in order and not yet read, and out of order. See tcp_text.c. */
#ifndef TG_TCP_QUEUE_H
#define TG_TCP_QUEUE_H

#include "core/core.h"

struct pktq {
	struct tg_pkt *head, *tail;
	uint32_t bytes;  /* of text */
	uint32_t charge; /* of memory */
};

/* A contiguous run of text beyond RCV.NXT. */
struct tcp_ooo_range {
	struct list node; /* in the order of sequence numbers */
	struct list mru;  /* most recently touched first: the order of SACK blocks [2018 4] */
	struct seq start, end;
	struct pktq q;
};

/* Reassembly of one connection; exists only while something is out of order. */
struct tcp_ooo {
	struct list all; /* in tcp_state.ooo, oldest first */
	struct tcp_conn *conn;
	struct list ranges, mru;
	uint32_t n_ranges;
	uint32_t charge;
};

#endif
