class InsightsError(Exception): pass
class ConfigurationError(InsightsError): pass
class BadAnswer(InsightsError): pass
