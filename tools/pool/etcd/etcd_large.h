/* SPDX-License-Identifier: MIT */
/*
 * Transactions that are larger than etcd takes in one.
 */
#ifndef POOL_ETCD_LARGE_H
#define POOL_ETCD_LARGE_H

#include "etcd.h"

/*
 * When these changes are too many or too long for one transaction of etcd's, put what is called
 * after its own content (capture/, policy/) in transactions of its own: alone they do no harm,
 * whoever puts the same puts the same bytes, and nothing removes it.  present[i] is set for what is
 * there now.  What is still too large then is for etcd to refuse: its limits can be set.  0; -1
 * after store_fail().
 */
int etcd_put_large(struct etcd *e, const struct store_change *changes, size_t n, bool *present);

#endif /* POOL_ETCD_LARGE_H */
