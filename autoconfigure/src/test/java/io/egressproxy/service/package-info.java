/** Tests of the proxy service's client, against WireMock as the service and with faults. */
@NullMarked
package io.egressproxy.service;

import org.jspecify.annotations.NullMarked;
