package io.egressproxy.autoconfigure;

import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.SettingsProblem;
import java.util.List;
import org.springframework.beans.factory.InitializingBean;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.AnyNestedCondition;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingClass;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Lazy;
import org.springframework.core.env.ConfigurableEnvironment;

/** Stops the start where nothing can be routed although it should be: clients would connect directly without a word. */
@AutoConfiguration
@Conditional({MissingClientLibraryAutoConfiguration.OnMissingLibrary.class, OnProxyEnabledCondition.class})
public final class MissingClientLibraryAutoConfiguration {

    /** Looks again at the start: what is processed ahead of time does not know yet whether it will be enabled. */
    @Bean
    @Lazy(false)
    InitializingBean missingClientLibrary(
            ConfigurableEnvironment environment, ObjectProvider<ProxySettings> settingsInCode) {
        return () -> {
            boolean enabled = ProxySettingsBinder.isEnabled(environment)
                    || settingsInCode.stream().anyMatch(ProxySettings::enabled);
            if (enabled) {
                throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                        "proxy.enabled",
                        "is true, but Reactor Netty or Spring WebFlux is not on the class path, so that nothing can be routed;"
                                + " add them, or set it to false",
                        null)));
            }
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
