"""Do fifty people at once lose an answer or fill memory?"""
