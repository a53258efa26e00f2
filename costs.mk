# What a stack costs and how far it scales: the model and the simulation in costs/.

.PHONY: scaling
scaling: $(VENVS)/dev/.done ## simulates runs of the export, and writes docs/scaling.md
	@$(RUN) -m costs page
