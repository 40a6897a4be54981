/**
 * How a decision becomes a connection on Reactor Netty: a handler in each channel asks the router, opens the tunnel, says
 * whose fault it was when it fails, and holds the lease as long as the channel lives. Only public API of Reactor Netty and
 * Netty is used.
 */
@NullMarked
package io.egressproxy.netty;

import org.jspecify.annotations.NullMarked;
