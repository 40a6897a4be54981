package io.egressproxy.autoconfigure;

import io.egressproxy.observability.ProxyMetrics;
import io.egressproxy.settings.ProxySettings;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import reactor.netty.http.client.HttpClient;

/**
 * Auto-configuration of meters. They are bound to whatever registries there are once all beans stand, so that a registry which needs an
 * HTTP client of its own can have one.
 */
@AutoConfiguration(before = EgressProxyAutoConfiguration.class)
@ConditionalOnClass({HttpClient.class, MeterRegistry.class})
@Conditional(OnProxyEnabledCondition.class)
public final class ProxyMetricsAutoConfiguration {

    @Bean
    @ConditionalOnMissingBean
    ProxyMetrics proxyMetrics(ProxySettings settings) {
        return new ProxyMetrics(settings.exchanges().keySet());
    }
}
