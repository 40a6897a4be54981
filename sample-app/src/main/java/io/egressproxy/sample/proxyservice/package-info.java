/**
 * A small proxy service on a port of its own, which implements the contract in {@code docs/openapi/proxy-service.yaml} and can be
 * stopped and started. It stands for a service that somebody else runs.
 */
@NullMarked
package io.egressproxy.sample.proxyservice;

import org.jspecify.annotations.NullMarked;
