/** Benchmarks of what no user can call: the choice alone, without the lease. */
package io.egressproxy.pool;
