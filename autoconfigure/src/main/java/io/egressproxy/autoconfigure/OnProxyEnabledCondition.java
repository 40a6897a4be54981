package io.egressproxy.autoconfigure;

import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.ProxySettingsCustomizer;
import java.util.Arrays;
import java.util.Objects;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.autoconfigure.condition.ConditionMessage;
import org.springframework.boot.autoconfigure.condition.ConditionOutcome;
import org.springframework.boot.autoconfigure.condition.SpringBootCondition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.context.annotation.ConfigurationCondition;
import org.springframework.context.aot.AbstractAotProcessor;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.type.AnnotatedTypeMetadata;

/**
 * Matches when {@code proxy.enabled} is true, by whatever name and wherever it is set, or when the application has settings
 * in code, which may say so themselves.
 */
public final class OnProxyEnabledCondition extends SpringBootCondition implements ConfigurationCondition {

    @Override
    public ConfigurationPhase getConfigurationPhase() {
        return ConfigurationPhase.REGISTER_BEAN;
    }

    @Override
    public ConditionOutcome getMatchOutcome(ConditionContext context, AnnotatedTypeMetadata metadata) {
        ConditionMessage.Builder message = ConditionMessage.forCondition("Egress Proxy");
        if (Boolean.getBoolean(AbstractAotProcessor.AOT_PROCESSING)) {
            // decided while building, but the settings are those of the run: what is contributed looks at them again
            return ConditionOutcome.match(message.because("the application is processed ahead of time"));
        }
        if (ProxySettingsBinder.isEnabled((ConfigurableEnvironment) context.getEnvironment())) {
            return ConditionOutcome.match(message.because("proxy.enabled is true"));
        }
        ConfigurableListableBeanFactory beans = Objects.requireNonNull(context.getBeanFactory());
        boolean settingsInCode = Arrays.stream(beans.getBeanNamesForType(ProxySettings.class, true, false))
                        .anyMatch(name -> !isOurs(beans, name))
                || beans.getBeanNamesForType(ProxySettingsCustomizer.class, true, false).length > 0;
        return settingsInCode
                ? ConditionOutcome.match(message.because("there are settings in code"))
                : ConditionOutcome.noMatch(message.because("proxy.enabled is not true"));
    }

    private static boolean isOurs(ConfigurableListableBeanFactory beans, String name) {
        return beans.containsBeanDefinition(name)
                && EgressProxyAutoConfiguration.class
                        .getName()
                        .equals(beans.getBeanDefinition(name).getFactoryBeanName());
    }
}
