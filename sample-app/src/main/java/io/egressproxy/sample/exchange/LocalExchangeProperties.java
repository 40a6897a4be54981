package io.egressproxy.sample.exchange;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Where the local exchange listens.
 *
 * @param port the port on 127.0.0.1, 0 for any
 */
@ConfigurationProperties("sample.local-exchange")
record LocalExchangeProperties(@DefaultValue("18080") int port) {}
