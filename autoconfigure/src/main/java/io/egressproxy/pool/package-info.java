/**
 * Pools of proxies: which of them are usable, which one a connection takes, and what their failures do to them. Knows
 * nothing of how connections are made.
 */
@NullMarked
package io.egressproxy.pool;

import org.jspecify.annotations.NullMarked;
