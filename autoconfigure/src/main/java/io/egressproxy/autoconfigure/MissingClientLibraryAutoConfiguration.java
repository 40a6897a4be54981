package io.egressproxy.autoconfigure;

import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.SettingsProblem;
import java.util.List;
import org.springframework.beans.factory.InitializingBean;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.AnyNestedCondition;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingClass;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Lazy;

/** Stops the start where nothing can be routed although it should be: clients would connect directly without a word. */
@AutoConfiguration
@Conditional({MissingClientLibraryAutoConfiguration.OnMissingLibrary.class, OnProxyEnabledCondition.class})
public final class MissingClientLibraryAutoConfiguration {

    @Bean
    @Lazy(false)
    InitializingBean missingClientLibrary() {
        return () -> {
            throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                    "proxy.enabled",
                    "is true, but Reactor Netty or Spring WebFlux is not on the class path, so that nothing can be routed; add"
                            + " them, or set it to false",
                    null)));
        };
    }

    /** Matches when either is missing. */
    static final class OnMissingLibrary extends AnyNestedCondition {
        OnMissingLibrary() {
            super(ConfigurationPhase.REGISTER_BEAN);
        }

        @ConditionalOnMissingClass("reactor.netty.http.client.HttpClient")
        static final class WithoutReactorNetty {}

        @ConditionalOnMissingClass("org.springframework.web.reactive.function.client.WebClient")
        static final class WithoutWebFlux {}
    }
}
